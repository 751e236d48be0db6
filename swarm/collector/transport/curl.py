"""The HTTP engine on libcurl, which is the faster one.

Many sessions run side by side: in a loop (`swarm.collector.transport.loop`) or in threads, as
libcurl works without the interpreter lock. Some defaults of libcurl must be switched off; comments
say which and why.
"""

import os
import re
import select
from functools import cache

import certifi

from swarm.collector.transport import libcurl  # noqa: F401 - before pycurl, which it initialises

# isort: split
import pycurl

from swarm.collector.transport.base import (
    BODY_LIMIT,
    CONNECT_LIMIT,
    INCOMPLETE_HEADER,
    Access,
    Answer,
    headers,
    printable,
    transport_fault,
)
from swarm.errors import TransportFault
from swarm.scheduler import THREADS, Scheduler

_SUPPRESS_CONNECT_HEADERS = 265  # in libcurl since 7.54, but without a name in pycurl

# A header block with its blank line, other than the 1xx blocks that may come before the answer.
_FINAL_HEADER = re.compile(
    rb"^HTTP/[\d.]+ +([2-9]\d\d)[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n", re.MULTILINE
)
_BLANK_LINES = (b"\r\n", b"\n")
_RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_UNTRUSTED = frozenset(
    {
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
    }
)


class CurlSession:
    """A `Session` on one libcurl handle."""

    def __init__(self, access: Access, scheduler: Scheduler = THREADS) -> None:
        self._scheduler = scheduler
        self._proxy = access.proxy or ""
        get, post = (
            [f"{name}: {value}" for name, value in headers(access, is_post=is_post).items()]
            for is_post in (False, True)
        )
        self._get_headers = get
        # Without the empty header, libcurl sends `Expect: 100-continue` before larger bodies.
        self._post_headers = [*post, "Expect:"]
        #: The method (True for POST) and the URL that the handle is set to.
        self._target: tuple[bool, str] | None = None
        self._packet = b""
        self._size = -1
        self._sent = 0
        self._head: list[bytes] = []
        self._body = bytearray()
        self._idle = _IdleSocket()
        self._curl = pycurl.Curl()
        self._configure(access)
        self._drop_connection()

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet; see `Session`.

        Raises `Unreachable`, `Untrusted` or `Unanswered`.
        """
        if self._target != (True, url):
            self._set_target(url, is_post=True)
        self._packet = packet
        if len(packet) != self._size:
            self._size = len(packet)
            self._curl.setopt(pycurl.POSTFIELDSIZE, self._size)
        return self._exchange(url)

    def get(self, url: str) -> Answer:
        """Get a resource; see `Session`."""
        if self._target != (False, url):
            self._set_target(url, is_post=False)
        return self._exchange(url)

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def __repr__(self) -> str:
        """Return the last URL, without the credential."""
        return f"<CurlSession {self._target[1] if self._target else 'unused'}>"

    def _configure(self, access: Access) -> None:
        """Set the options of the handle that never change."""
        # As bytes, a file name may hold any character, and bytes that are no character.
        authorities = os.fsencode(access.ca_bundle or certifi.where())
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            # A limit of 0 ms would mean none.
            (pycurl.TIMEOUT_MS, max(1, round(access.timeout * 1000))),
            (
                pycurl.CONNECTTIMEOUT_MS,
                max(1, round(min(access.timeout, CONNECT_LIMIT) * 1000)),
            ),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.COOKIEFILE, ""),  # enables cookies, in memory
            (pycurl.MAXCONNECTS, 1),
            # An empty string disables the proxy of the environment.
            (pycurl.PROXY, self._proxy),
            (pycurl.NOPROXY, ""),
            # A proxy gets this name, but with HEADER_SEPARATE not our headers with the credential.
            (pycurl.USERAGENT, headers(access, is_post=False)["User-Agent"]),
            (pycurl.HEADEROPT, pycurl.HEADER_SEPARATE),
            # The proxy's answer to CONNECT must not be taken for the collector's.
            (_SUPPRESS_CONNECT_HEADERS, 1),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, authorities),
            (pycurl.PROXY_CAINFO, authorities),
            (pycurl.READFUNCTION, self._read_packet),
            # libcurl sends a request again, on a new connection, if a kept one breaks before the
            # answer: the packet could be stored twice. It can't do so if it can't rewind the body.
            (pycurl.SEEKFUNCTION, lambda _offset, _origin: pycurl.SEEKFUNC_FAIL),
            (pycurl.HEADERFUNCTION, self._head.append),
            (pycurl.WRITEFUNCTION, self._write_body),
        ):
            self._curl.setopt(option, value)
        # libcurl would also trust the CA folders that are compiled into it.
        self._curl.unsetopt(pycurl.CAPATH)
        self._curl.unsetopt(pycurl.PROXY_CAPATH)

    def _drop_connection(self) -> None:
        """Leave the present connection, if there is one, by taking a new connection share.

        A share per session keeps its connection from the other sessions of the same loop.
        """
        share = pycurl.CurlShare()
        share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        self._curl.unsetopt(pycurl.SHARE)
        self._curl.setopt(pycurl.SHARE, share)

    def _set_target(self, url: str, *, is_post: bool) -> None:
        self._curl.setopt(pycurl.URL, url)
        self._curl.setopt(pycurl.POST if is_post else pycurl.HTTPGET, 1)
        self._curl.setopt(pycurl.HTTPHEADER, self._post_headers if is_post else self._get_headers)
        self._target = (is_post, url)

    def _read_packet(self, size: int) -> bytes:
        start = self._sent
        chunk = self._packet[start : start + size]  # for nearly all packets the object itself
        self._sent = start + len(chunk)
        return chunk

    def _write_body(self, chunk: bytes) -> int | None:
        room = BODY_LIMIT - len(self._body)
        self._body += chunk[:room]
        return None if len(chunk) <= room else 0  # 0 ends the transfer with E_WRITE_ERROR

    def _exchange(self, url: str) -> Answer:
        self._sent = 0
        self._head.clear()
        self._body.clear()
        if self._idle.ended():
            self._drop_connection()
        code, text = 0, INCOMPLETE_HEADER
        try:
            self._scheduler.transfer(self._curl)
        except pycurl.error as error:
            code, text = (*error.args, "")[:2]
        finally:
            number = self._curl.getinfo(pycurl.ACTIVESOCKET)
            if number != self._idle.number:
                self._idle.watch(number)
        if not code and self._head and self._head[-1] in _BLANK_LINES:
            # The fast path of nearly all packets: the header need not be parsed.
            status = self._curl.getinfo(pycurl.RESPONSE_CODE)
            if 200 <= status < 300:
                return Answer(status, bytes(self._body)) if self._body else _empty(status)
        found = _FINAL_HEADER.search(b"".join(self._head))
        if found is None:
            raise self._fault(url, code, text)
        # With a complete header the answer counts, even if the transfer failed in the body.
        status = int(found[1])
        value = None if 200 <= status < 300 else _RETRY_AFTER.search(found[0])
        retry_after = value[1].strip().decode("latin-1") if value else None
        is_cut = code not in {0, pycurl.E_WRITE_ERROR}
        return Answer(status, bytes(self._body), retry_after, is_cut)

    def _fault(self, url: str, code: int, text: str) -> TransportFault:
        number = self._curl.getinfo(pycurl.OS_ERRNO)
        if code == pycurl.E_COULDNT_CONNECT and number:
            reason = os.strerror(int(number))
        elif code == pycurl.E_OPERATION_TIMEDOUT:
            reason = f"timed out after {self._curl.getinfo(pycurl.TOTAL_TIME):.1f} s"
        elif code == pycurl.E_SEND_FAIL_REWIND:
            reason = "the connection was closed"
        else:
            reason = printable(text)
        return transport_fault(
            url,
            self._proxy,
            reason,
            # The code does not show this: a request that libcurl wanted to repeat may end in any.
            was_sent=bool(self._sent or self._curl.getinfo(pycurl.REQUEST_SIZE)),
            is_untrusted=code in _UNTRUSTED,
        )


class _IdleSocket:
    """Detects that the server closed the connection while it was idle.

    libcurl checks for that only after a second of idleness. Before, it would send the packet into
    the closed connection, and nobody would know whether it was stored.
    """

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None  # not on Windows
        #: The descriptor of the socket; -1 for none.
        self.number = -1

    def watch(self, number: int) -> None:
        """Watch the socket with this descriptor from now on; -1 for none."""
        if self._poll is None:
            return
        if self.number >= 0:
            self._poll.unregister(self.number)
        if number >= 0:
            self._poll.register(number, select.POLLIN)
        self.number = number

    def ended(self) -> bool:
        """Return True if the socket is readable: without a request that means it was closed."""
        return self.number >= 0 and self._poll is not None and bool(self._poll.poll(0))


@cache
def _empty(status: int) -> Answer:
    """Return an answer without a body."""
    return Answer(status)
