"""The check that a command can run on this system."""

from importlib import import_module

from swarm.errors import SettingsError

#: Modules of the standard library that only POSIX systems have.
_NEEDED = ("fcntl", "resource")


def require_posix(command: str) -> None:
    """Raise `SettingsError` if the system lacks the file locks and limits of POSIX."""
    try:
        for name in _NEEDED:
            import_module(name)
    except ImportError:
        raise SettingsError(
            f"swarm {command}: needs the file locks of Linux or macOS, which this system lacks; on "
            "Windows, use the Windows Subsystem for Linux (WSL)"
        ) from None
