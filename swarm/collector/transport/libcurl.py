"""Loads libcurl so that it writes no TLS keys, whatever SSLKEYLOGFILE says.

libcurl reads the variable once for the whole process, when it is set up: with the first handle that
anybody makes, or with pycurl. There is no option against it. The command has taken the variable out
of its environment by then. A program that uses the library keeps it: it is hidden from C for the
moment that libcurl takes to be set up. That is too late where another part of the program was here
first, and no help with GnuTLS and NSS, which read the variable for themselves later on.
"""

import logging
import os
import sys

from swarm.config.ignored import KEY_LOG, key_log_hidden


def _load() -> str | None:
    """Load libcurl; return why it may write TLS keys, None where it does not."""
    was_loaded = "pycurl" in sys.modules
    with key_log_hidden():
        import pycurl

        pycurl.global_init(pycurl.GLOBAL_ALL)
    if not os.environ.get(KEY_LOG):
        return None
    if was_loaded:
        return f"{KEY_LOG} is set, and pycurl was in use before swarm could keep it from libcurl"
    if any(name in pycurl.version for name in ("GnuTLS", "NSS")):
        return f"{KEY_LOG} is set, and this libcurl's TLS library would write keys there"
    return None


#: Why libcurl is not used in this process, if it is not.
OBSTACLE = _load()
if OBSTACLE:
    logging.getLogger(__name__).warning("%s: with transport 'auto', requests is used", OBSTACLE)
