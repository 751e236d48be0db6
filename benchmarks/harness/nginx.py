"""A collector with the least possible overhead: nginx on the loopback interface.

It accepts every packet: at once under ``now/``, after 20 ms under ``later/``. It can't return the
last packet of a stream: a GET is answered with 405, and swarm reports ``unknown``.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.results import NotMeasured

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
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location /now/ {{
            if ($request_method = GET) {{ return 405; }}
            return 200;
        }}
        {later}
    }}
}}
"""
_LATER = """location /later/ {
            if ($request_method = GET) { return 405; }
            echo_read_request_body;
            echo_sleep 0.02;
            echo stored;
        }"""


class Nginx:
    """A running nginx."""

    def __init__(self, port: int, *, has_echo: bool) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._has_echo = has_echo

    @property
    def immediate(self) -> str:
        """The URL that answers at once."""
        return f"{self._base}/now/unifiedjson/"

    @property
    def delayed(self) -> str:
        """The URL that answers after 20 ms."""
        if not self._has_echo:
            raise NotMeasured(
                f"nginx has no {_ECHO}; on Debian: apt-get install libnginx-mod-http-echo"
            )
        return f"{self._base}/later/unifiedjson/"


@contextmanager
def running(folder: Path) -> Iterator[Nginx]:
    """Run nginx with all its files in ``folder``, on a free port."""
    program = _program()
    folder.mkdir()
    echo, port = _echo(program), _free_port()
    config = folder / "nginx.conf"
    config.write_text(_config(folder, port, echo), encoding="utf-8")
    command = [program, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    with (folder / "output.log").open("wb") as output:
        process = commands.start(command, folder, output.fileno(), output.fileno())
    try:
        _await(process, port, folder)
        yield Nginx(port, has_echo=echo is not None)
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


def _config(folder: Path, port: int, echo: Path | None) -> str:
    connections = 2048
    return _CONFIG.format(
        load=f"load_module {echo};" if echo else "",
        user=f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
        folder=folder,
        workers=len(os.sched_getaffinity(0)),
        connections=connections,
        files=2 * connections,
        port=port,
        later=_LATER if echo else "",
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    """Wait until nginx accepts connections."""
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
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
