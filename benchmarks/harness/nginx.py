"""A collector with the least possible overhead: nginx, on the loopback interface or elsewhere.

It accepts every packet, over HTTP and over HTTPS (TLS 1.3, with a CA made for the run), at once or
after a delay. It stores nothing: it answers a GET with the last packet that `Nginx.set_last` gave
it, or with 405, and swarm reports ``unknown``.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

from benchmarks.harness import commands
from benchmarks.results import NotMeasured

LOOPBACK = "127.0.0.1"
DELAYS_MS = (20, 80)
_ECHO = "ngx_http_echo_module.so"
_START_SECONDS = 10.0
_CONFIG = """\
{load}
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes {workers};
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $connection_requests $is_first {{ 1 1; default 0; }}
    map $request_method $is_packet {{ POST 1; default 0; }}
    log_format handshakes $ssl_protocol;
    log_format packets $msec;
    server {{
        listen {address}:{http} backlog=4096;
        listen {address}:{https} ssl backlog=4096;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        ssl_protocols TLSv1.3;
        access_log {folder}/handshakes.log handshakes if=$is_first;
        error_page 404 =405 /none;
        location /none {{ return 405; }}
        location /last/ {{ internal; root {folder}; default_type application/json; }}
        {locations}
    }}
}}
"""
_AT_ONCE = "return 200;"
_DELAYED = "echo_read_request_body; echo_sleep {seconds}; echo stored;"
_LOCATION = """
        location /{name}/ {{
            if ($request_method = GET) {{ rewrite ^ /last/$arg_stream last; }}
            {log}
            {answer}
        }}"""
_LOG_PACKETS = "access_log {folder}/packets.log packets buffer=64k flush=1s if=$is_packet;"


@dataclass(frozen=True)
class Nginx:
    """A running nginx; ``ca`` is the file of the CA that signed its certificate."""

    folder: Path
    address: str
    ports: dict[str, int]
    has_echo: bool

    @property
    def immediate(self) -> str:
        """The URL that answers at once."""
        return self.url("http")

    @property
    def delayed(self) -> str:
        """The URL that answers after 20 ms."""
        return self.url("http", delay_ms=20)

    @property
    def ca(self) -> Path:
        """The file of the CA that signed its certificate."""
        return self.folder / "ca.pem"

    def url(self, scheme: str, *, delay_ms: int = 0, logs: bool = False) -> str:
        """Return the URL that answers after a delay, one of `DELAYS_MS` or 0.

        With ``logs``, `packet_times` has the time of each answer.
        """
        if delay_ms and not self.has_echo:
            raise NotMeasured(
                f"nginx has no {_ECHO}; on Debian: apt-get install libnginx-mod-http-echo"
            )
        name = _location_name(delay_ms, logs=logs)
        return f"{scheme}://{self.address}:{self.ports[scheme]}/{name}/unifiedjson/"

    def set_last(self, stream: str, packet: bytes | None) -> None:
        """Set the answer to a GET for a stream; None is 405."""
        path = self.folder / "last" / stream
        if packet is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(packet)

    def count_handshakes(self) -> int:
        """Return the number of TLS connections so far that made a request."""
        return (self.folder / "handshakes.log").read_bytes().count(b"TLSv1.3\n")

    def clear_packets(self) -> None:
        """Forget the times of all packets."""
        time.sleep(1.1)  # the longest time that nginx keeps a line in its buffer
        os.truncate(self.folder / "packets.log", 0)

    def packet_times(self) -> list[float]:
        """Return the times of the packets (s), in order, since they were cleared."""
        time.sleep(1.1)
        return sorted(map(float, (self.folder / "packets.log").read_bytes().split()))


@contextmanager
def running(folder: Path, address: str = LOOPBACK, within: Sequence[str] = ()) -> Iterator[Nginx]:
    """Run nginx with all its files in ``folder``, on free ports of an address.

    ``within`` is the command that runs it, if the address is one of a network namespace.
    """
    program = _program()
    for each in (folder, folder / "last"):
        each.mkdir()
    _write_certificate(folder, address)
    echo = _echo(program)
    ports = {"http": _free_port(), "https": _free_port()}
    config = folder / "nginx.conf"
    config.write_text(_config(folder, address, ports, echo), encoding="utf-8")
    command = [program, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    with (folder / "output.log").open("wb") as output:
        process = commands.start([*within, *command], folder, output.fileno(), output.fileno())
    try:
        _await(process, folder)
        yield Nginx(folder, address, ports, has_echo=echo is not None)
    finally:
        _stop(process)


def version() -> str:
    """Return nginx's version."""
    return _output(_program(), "-v").strip().rpartition("/")[2]


def _program() -> str:
    # /usr/sbin is usually only in root's PATH.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NotMeasured(
            "nginx is not installed; on Debian: apt-get install nginx-light libnginx-mod-http-echo"
        )
    return found


def _output(program: str, option: str) -> str:
    return subprocess.run([program, option], capture_output=True, text=True, check=False).stderr


def _echo(program: str) -> Path | None:
    """Return the path of the module that can delay answers, None if it is not installed."""
    folder = re.search(r"--modules-path=(\S+)", _output(program, "-V"))
    path = Path(folder[1] if folder else "/usr/lib/nginx/modules") / _ECHO
    return path if path.exists() else None


def _write_certificate(folder: Path, address: str) -> None:
    """Write the files of a new CA and of a certificate for an address, with its key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert(address)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))


def _config(folder: Path, address: str, ports: dict[str, int], echo: Path | None) -> str:
    connections = 8192
    delays = (0, *DELAYS_MS) if echo else (0,)
    return _CONFIG.format(
        load=f"load_module {echo};" if echo else "",
        user=f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
        folder=folder,
        address=address,
        workers=len(os.sched_getaffinity(0)),
        connections=connections,
        files=2 * connections,
        **ports,
        locations="".join(
            _LOCATION.format(
                name=_location_name(delay_ms, logs=logs),
                log=_LOG_PACKETS.format(folder=folder) if logs else "",
                answer=_DELAYED.format(seconds=delay_ms / 1000) if delay_ms else _AT_ONCE,
            )
            for delay_ms in delays
            for logs in (False, True)
        ),
    )


def _location_name(delay_ms: int, *, logs: bool) -> str:
    return f"after-{delay_ms}-ms{'-logged' if logs else ''}"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Wait until nginx accepts connections: it writes its ID when its sockets listen."""
    until = time.monotonic() + _START_SECONDS
    pid = folder / "nginx.pid"
    while process.poll() is None and time.monotonic() < until:
        if pid.exists() and pid.read_text().strip():
            return
        time.sleep(0.02)
    logs = (folder / name for name in ("error.log", "output.log"))
    said = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
    raise NotMeasured(f"nginx does not start: {said[-1] if said else 'it said nothing'}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGTERM)
        process.wait(5)
    commands.end(process)
