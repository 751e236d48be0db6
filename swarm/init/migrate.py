"""An INI of the original app -> the same settings as an INI of swarm's own."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from swarm.config import ini, legacy
from swarm.config.load import load
from swarm.config.settings import CsvRules, Meter, Settings
from swarm.config.urls import ENVIRONMENTS
from swarm.errors import SettingsError
from swarm.init.writer import GeneratedIni, Setting, comment, is_id, is_writable, options, path_text
from swarm.text import printable

#: How long the lines of a list get.
_WIDTH = 70
_INLINE = (
    "The password stands here as it stood in the original: keep this file from others "
    "(chmod 600), or give password_env, password_file or password_command in its place."
)
_NOTE = "the INI holds the password, as the original does: chmod 600 the file that you write it to"


def migrate(path: Path) -> GeneratedIni:
    """Return an INI that sends the same packets, to the same collector, from the same checkpoint.

    Raises `SettingsError` if the file is no INI of the original app, has problems, or has an ID
    that no other INI can hold.
    """
    if not legacy.recognises(ini.read_text(path)):
        raise SettingsError(f"{path}: not an INI of the original app, with [Web DC] and [General]")
    settings = load(path, {}, secrets=False)
    (meter,) = settings.meters
    _check(path, meter, settings.log_file)
    parts = (_head(path), _swarm(settings), _credentials(meter), _upload(settings), _meter(meter))
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return GeneratedIni(text, (*settings.warnings, _NOTE))


def _check(path: Path, meter: Meter, log_file: Path | None) -> None:
    """Raise `SettingsError` if there is a name that can't be written."""
    paths = (*meter.files, *filter(None, [log_file]))
    if not all(is_writable(str(each)) for each in paths):
        raise SettingsError(f"{path}: Filename: below a folder whose name no INI can hold")
    if not is_id(meter.id):
        raise SettingsError(
            f"{path}: [General] ChannelReference: an ID with '=', or a comment's sign ahead, can't "
            "be written in the new form; go on with the original's INI"
        )


def _head(path: Path) -> list[str]:
    return comment(
        f"The settings of {printable(path.name)}, an INI of the original app, written by "
        "'swarm init --from'. It sends the same packets, and goes on where runs with the original "
        "have stopped. The paths are whole, as the original's were relative to the folder that it "
        "was run in."
    )


def _swarm(settings: Settings) -> list[str]:
    names = {url: name for name, url in ENVIRONMENTS.items()}
    url = settings.url or ""
    place = names.get(url)
    found = [Setting("environment", place) if place else Setting("url", url)]
    if settings.log_file:
        found.append(Setting("log_file", str(settings.log_file)))
    zone = comment("The original took all timestamps for UTC.")
    return ["[swarm]", *options(found), *zone, "timezone = UTC"]


def _credentials(meter: Meter) -> list[str]:
    who = meter.credentials
    if who is None:
        return []
    password = [*comment(_INLINE), f"password = {who.password}"]
    return ["[credentials]", f"username = {who.username}", *password]


def _upload(settings: Settings) -> list[str]:
    level = settings.upload.verbose
    return ["[upload]", f"verbose = {level}"] if level else []


def _meter(meter: Meter) -> list[str]:
    (path,) = meter.files
    return [
        "[meters]",
        f"{meter.id} = {path_text(path)}",
        "",
        f"[meter:{meter.id}]",
        *options(_rules(meter.rules)),
    ]


def _rules(rules: CsvRules) -> Iterator[Setting]:
    """Yield the options that make these rules of an original app's INI."""
    names = textwrap.wrap(", ".join(rules.columns or ()), _WIDTH)
    yield Setting("columns", "\n    ".join(names))
    if rules.shift:
        yield Setting("shift", f"{rules.shift / 60:.0f}m")
        yield Setting("pad_first", "yes")
    if rules.power_from_energy:
        yield Setting("power_from_energy", f"{rules.power_from_energy:.0f}m")
