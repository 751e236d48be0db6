"""A process of its own that sends one request to a healthcheck, and prints why it failed.

Its standard input is a JSON object with ``method``, ``url``, ``body``, ``proxy``, ``ca_bundle``
and ``seconds``: none of these is on a command line, which other users can read.
"""

import json
import signal
import sys

import requests
from requests.adapters import HTTPAdapter

#: Connections that were refused are tried again this often.
_RETRIES = 2


def main() -> None:
    """Send the request; exit with 1 if it was not answered with 2xx."""
    order = json.load(sys.stdin)
    # The time limit of requests is one for each read. SIGALRM ends this process.
    signal.setitimer(signal.ITIMER_REAL, order["seconds"])
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", HTTPAdapter(max_retries=_RETRIES))
        session.mount("http://", HTTPAdapter(max_retries=_RETRIES))
        try:
            answer = session.request(
                order["method"],
                order["url"],
                data=order["body"].encode() if order["body"] else None,
                headers={"Content-Type": "application/json"} if order["body"] else None,
                proxies={"https": order["proxy"], "http": order["proxy"]},
                verify=order["ca_bundle"] or True,
                allow_redirects=False,
                timeout=order["seconds"],
            )
        except requests.RequestException as error:
            sys.exit(_reason(error))
    if not answer.ok or answer.is_redirect:
        sys.exit(f"answered {answer.status_code} {answer.reason}")


def _reason(error: requests.RequestException) -> str:
    """Return why there was no answer, without the URL, whose path may be a secret."""
    match error:
        case requests.exceptions.ProxyError():
            return "the proxy did not connect"
        case requests.exceptions.SSLError():
            return "its TLS certificate was not accepted"
        case requests.exceptions.ConnectTimeout() | requests.exceptions.ReadTimeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "no connection"
        case _:
            return type(error).__name__


if __name__ == "__main__":
    main()
