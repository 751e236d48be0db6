"""The HTTP engine on libcurl: the quick one.

Many sessions go side by side: in a loop (`loop`, beside this) or in threads, as libcurl works
without the interpreter lock. The price is that its habits have to be switched off one by one; the
comments say which.
"""

import os
import re
import select
from urllib.parse import urlsplit

import certifi

from swarm.collector.transport import libcurl  # noqa: F401 - ahead of pycurl, which it sets up

# isort: split
import pycurl

from swarm.collector.transport.base import BODY_LIMIT, Access, Answer, headers
from swarm.errors import TransportFault, Unanswered, Unreachable, Untrusted
from swarm.scheduler import THREADS, Scheduler

_SUPPRESS_CONNECT_HEADERS = 265  # libcurl 7.54 has it, pycurl has no name for it

#: To connect takes no longer than this (s), even where a whole request may.
CONNECT_LIMIT = 10.0

# One header block with its blank line; 1xx blocks come before the answer and are not it.
_FINAL_HEADER = re.compile(
    rb"^HTTP/[\d.]+ +([2-9]\d\d)[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n", re.MULTILINE
)
_BLANK_LINES = (b"\r\n", b"\n")
_RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_USERINFO = re.compile(r"[^\s'\"]*@")
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
        self._timeout = access.timeout
        self._proxy = access.proxy or ""
        common = [f"{name}: {value}" for name, value in headers(access).items()]
        # The handle keeps its options: what differs between POST and GET is set at a change only.
        self._get_headers = common
        # libcurl would ask with `Expect: 100-continue` before larger bodies.
        self._post_headers = [*common, "Content-Type: application/json", "Expect:"]
        self._aim: tuple[bool, str] | None = None
        self._packet = b""
        self._given = 0
        self._head: list[bytes] = []
        self._body = bytearray()
        self._idle = _IdleSocket()
        self._curl = self._prepared(access)
        self._disconnect()

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet; see `Session`."""
        if self._aim != (True, url):
            self._turn_to(url, post=True)
        self._packet = packet
        self._curl.setopt(pycurl.POSTFIELDSIZE, len(packet))
        return self._exchange(url)

    def get(self, url: str) -> Answer:
        """Get a resource; see `Session`."""
        if self._aim != (False, url):
            self._turn_to(url, post=False)
        return self._exchange(url)

    def close(self) -> None:
        """Close the connection."""
        self._curl.close()

    def __repr__(self) -> str:
        """Tell where it last went; never the credential."""
        return f"<CurlSession {self._aim[1] if self._aim else 'unused'}>"

    def _prepared(self, access: Access) -> pycurl.Curl:
        """Return a handle with all that never changes."""
        curl = pycurl.Curl()
        connect = min(access.timeout, CONNECT_LIMIT)
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.TIMEOUT_MS, _milliseconds(access.timeout)),
            (pycurl.CONNECTTIMEOUT_MS, _milliseconds(connect)),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.COOKIEFILE, ""),  # the cookie engine, in memory
            (pycurl.USERAGENT, headers(access)["User-Agent"]),  # as a proxy sees it
            (pycurl.MAXCONNECTS, 1),
        ):
            curl.setopt(option, value)
        self._set_route(curl, access)
        self._set_callbacks(curl)
        return curl

    def _set_route(self, curl: pycurl.Curl, access: Access) -> None:
        """Set proxy and trust; an empty string is what keeps the environment's proxy out."""
        authorities = access.ca_bundle or certifi.where()
        curl.setopt(pycurl.PROXY, self._proxy)
        curl.setopt(pycurl.NOPROXY, "")
        # Without this a proxy is shown our headers, credentials included, with its CONNECT.
        curl.setopt(pycurl.HEADEROPT, pycurl.HEADER_SEPARATE)
        curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)  # or its 200 looks like the answer
        curl.setopt(pycurl.SSL_VERIFYPEER, 1)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2)
        for bundle, folder in (
            (pycurl.CAINFO, pycurl.CAPATH),
            (pycurl.PROXY_CAINFO, pycurl.PROXY_CAPATH),
        ):
            # As bytes, the name of a file may hold any letter, and what is no letter at all.
            curl.setopt(bundle, os.fsencode(authorities))
            curl.unsetopt(folder)  # a folder built into libcurl would be trusted as well

    def _set_callbacks(self, curl: pycurl.Curl) -> None:
        """Let libcurl fetch the body from us, and hand us the answer.

        libcurl sends a request again, on a fresh connection, when a reused one dies before it
        answered: the packet could then be stored twice. To do so it has to rewind the body, which
        the seek refuses.
        """
        curl.setopt(pycurl.READFUNCTION, self._give)
        curl.setopt(pycurl.SEEKFUNCTION, _refuse_to_rewind)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)
        curl.setopt(pycurl.WRITEFUNCTION, self._take)

    def _disconnect(self) -> None:
        """Leave what connection there is behind.

        A share that is this session's alone keeps its connection from others of the same loop.
        """
        connections = pycurl.CurlShare()
        connections.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        self._curl.unsetopt(pycurl.SHARE)
        self._curl.setopt(pycurl.SHARE, connections)

    def _turn_to(self, url: str, *, post: bool) -> None:
        self._curl.setopt(pycurl.URL, url)
        self._curl.setopt(pycurl.POST if post else pycurl.HTTPGET, 1)
        self._curl.setopt(pycurl.HTTPHEADER, self._post_headers if post else self._get_headers)
        self._aim = (post, url)

    def _give(self, size: int) -> bytes:
        start = self._given
        chunk = self._packet[start : start + size]
        self._given = start + len(chunk)
        return chunk

    def _take(self, chunk: bytes) -> int | None:
        room = BODY_LIMIT - len(self._body)
        self._body += chunk[:room]
        return None if len(chunk) <= room else 0  # taking less than offered ends the transfer

    def _exchange(self, url: str) -> Answer:
        self._given = 0
        self._head.clear()
        self._body.clear()
        failure = self._perform()
        if not failure[0] and self._head and self._head[-1] in _BLANK_LINES:
            # The quick way for nearly all packets: nothing of the header is of interest.
            status = self._curl.getinfo(pycurl.RESPONSE_CODE)
            if 200 <= status < 300:
                return Answer(status, bytes(self._body))
        # Once its header is complete the answer counts, whatever became of the body.
        if found := _FINAL_HEADER.search(b"".join(self._head)):
            is_cut = failure[0] not in {0, pycurl.E_WRITE_ERROR}  # the latter is our own limit
            return self._answer(int(found[1]), found[0], is_cut=is_cut)
        raise self._fault(urlsplit(url).netloc, *failure)

    def _perform(self) -> tuple[int, str]:
        """Run the transfer; return how it failed, for where no answer was had."""
        if self._idle.ended():
            self._disconnect()
        try:
            self._scheduler.transfer(self._curl)
        except pycurl.error as error:
            return _failure(*error.args)
        finally:
            self._idle.watch(self._curl.getinfo(pycurl.ACTIVESOCKET))
        return 0, "the answer ended before its header did"

    def _answer(self, status: int, head: bytes, *, is_cut: bool) -> Answer:
        found = None if 200 <= status < 300 else _RETRY_AFTER.search(head)
        after = found[1].strip().decode("latin-1") if found else None
        return Answer(status, bytes(self._body), after, is_cut)

    def _fault(self, host: str, code: int, text: str) -> TransportFault:
        host = _plain(host)
        reason = self._reason(code, text)
        # Asked first: a request that libcurl wanted to send again may end in any error.
        if self._given or self._curl.getinfo(pycurl.REQUEST_SIZE):
            return Unanswered(f"no answer from {host}: {reason}")
        if code in _UNTRUSTED:
            return Untrusted(f"the certificate of {host} was not accepted: {reason}")
        way = f" through the proxy {_plain(urlsplit(self._proxy).netloc)}" if self._proxy else ""
        return Unreachable(f"could not connect to {host}{way}: {reason}")

    def _reason(self, code: int, text: str) -> str:
        number = self._curl.getinfo(pycurl.OS_ERRNO)
        if code == pycurl.E_COULDNT_CONNECT and number:
            return os.strerror(int(number))
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return f"timed out after {self._curl.getinfo(pycurl.TOTAL_TIME):.1f} s"
        if code == pycurl.E_SEND_FAIL_REWIND:
            return "the connection was closed"
        return _plain(text)


class _IdleSocket:
    """Tells whether the server closed the connection while it lay idle.

    libcurl looks for that itself, but only after a second of idleness: sooner it would send the
    packet into the closed connection, and nobody would know what became of it.
    """

    def __init__(self) -> None:
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none
        self._number = -1

    def watch(self, number: int) -> None:
        """Watch this socket from now on; -1 for none."""
        if self._poll is None or number == self._number:
            return
        if self._number >= 0:
            self._poll.unregister(self._number)
        if number >= 0:
            self._poll.register(number, select.POLLIN)
        self._number = number

    def ended(self) -> bool:
        """Tell whether something came in unasked, which is the end of the connection."""
        return self._number >= 0 and self._poll is not None and bool(self._poll.poll(0))


def _refuse_to_rewind(offset: int, origin: int) -> int:
    return pycurl.SEEKFUNC_FAIL


def _failure(code: int = 0, text: str = "") -> tuple[int, str]:
    return code, text


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))  # libcurl takes 0 for no limit


def _plain(text: str) -> str:
    """Return one printable line, without what a URL may hold before its ``@``."""
    line = _USERINFO.sub("", " ".join(text.split()))
    return "".join(sign if sign.isprintable() else "?" for sign in line)
