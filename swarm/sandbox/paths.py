"""The paths of the sandbox's own routes; those of the API are in `swarm.sandbox.validate`."""

from typing import Final

#: The page, and what it gets as server-sent events.
PAGE_PATH: Final = "/"
EVENTS_PATH: Final = "/events"
#: The number of packets as JSON, for programs.
STATUS_PATH: Final = "/status"
#: Only for clients with the key: delete the packets of streams, read the last packets.
FORGET_PATH: Final = "/forget"
LAST_PATH: Final = "/last"
