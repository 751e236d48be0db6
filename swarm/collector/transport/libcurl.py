"""Load libcurl so that it writes no TLS keys, also if SSLKEYLOGFILE is set.

libcurl reads the variable once per process, when it is initialised: with the first handle of any
code in the process, or with the import of pycurl. No option prevents that. The command removes the
variable from its environment first. A program that uses the library keeps it, so the variable is
hidden from C code while libcurl is initialised. This is too late if another part of the program has
initialised libcurl before, and does not help with GnuTLS and NSS, which read the variable later.
"""

import logging
import os
import sys

from swarm.config.ignored import KEY_LOG, key_log_hidden

_was_loaded = "pycurl" in sys.modules
with key_log_hidden():
    import pycurl

    pycurl.global_init(pycurl.GLOBAL_ALL)

#: The reason why this process must not use libcurl, which could write TLS keys; None if it may.
OBSTACLE: str | None = None
if os.environ.get(KEY_LOG):
    if _was_loaded:
        OBSTACLE = (
            f"{KEY_LOG} is set, and pycurl was in use before swarm could hide it from libcurl"
        )
    elif any(name in pycurl.version for name in ("GnuTLS", "NSS")):
        OBSTACLE = f"{KEY_LOG} is set, and this libcurl's TLS library would write keys there"
if OBSTACLE:
    logging.getLogger(__name__).warning("%s: with transport 'auto', requests is used", OBSTACLE)
