"""Convert an INI of the original app into an INI of swarm with the same settings."""

import textwrap
from pathlib import Path

from swarm.config import ini, legacy
from swarm.config.load import load
from swarm.config.settings import Settings
from swarm.config.urls import ENVIRONMENTS
from swarm.errors import SettingsError
from swarm.init.writer import GeneratedIni, Setting, comment, is_id, is_writable, options, path_text
from swarm.text import printable

#: The greatest width of the lines of a list.
_WIDTH = 70
_KEEP_PRIVATE = (
    "The password, copied from the original INI: protect this file (chmod 600), or use "
    "password_env, password_file or password_command instead."
)
_NOTE = "the INI contains the password, as the original does: protect it with chmod 600"


def migrate(path: Path) -> GeneratedIni:
    """Return an INI that sends the same packets, to the same collector, from the same checkpoint.

    Raises `SettingsError` if the file is no INI of the original app, has problems, or has an ID or
    a path that no other INI can hold.
    """
    if not legacy.recognises(ini.read_text(path)):
        raise SettingsError(f"{path}: not an INI of the original app, with [Web DC] and [General]")
    settings = load(path, {}, secrets=False)
    (meter,) = settings.meters
    log_files = [settings.log_file] if settings.log_file else []
    if not all(is_writable(str(file)) for file in (*meter.files, *log_files)):
        raise SettingsError(f"{path}: Filename: in a folder whose name an INI can't contain")
    if not is_id(meter.id):
        raise SettingsError(
            f"{path}: [General] ChannelReference: an ID with '=', or with '#' or ';' at its "
            "beginning, can't be written in the new form; continue to use the original INI"
        )
    return GeneratedIni(_text(path, settings), (*settings.warnings, _NOTE))


def _text(path: Path, settings: Settings) -> str:
    """Return the text of an INI with the settings that were read from the original's INI."""
    head = comment(
        f"The settings of {printable(path.name)}, an INI of the original app, written by "
        "'swarm init --from'. It sends the same packets and continues from the same checkpoints. "
        "Paths are absolute here; in the original they were relative to the folder in which it was "
        "run."
    )
    url = settings.url or ""
    environment = {known: name for name, known in ENVIRONMENTS.items()}.get(url)
    swarm = [Setting("environment", environment) if environment else Setting("url", url)]
    if settings.log_file:
        swarm.append(Setting("log_file", str(settings.log_file)))
    zone = comment("The original app read all timestamps as UTC.")
    sections = [head, ["[swarm]", *options(swarm), *zone, "timezone = UTC"]]
    (meter,) = settings.meters
    (csv,) = meter.files
    if meter.credentials:
        user, password = meter.credentials.username, meter.credentials.password
        lines = [f"username = {user}", *comment(_KEEP_PRIVATE), f"password = {password}"]
        sections.append(["[credentials]", *lines])
    if settings.upload.verbose:
        sections.append(["[upload]", f"verbose = {settings.upload.verbose}"])
    sections.append(["[meters]", f"{meter.id} = {path_text(csv)}"])
    columns = textwrap.wrap(", ".join(meter.rules.columns or ()), _WIDTH)
    rules = [Setting("columns", "\n    ".join(columns))]
    if meter.rules.shift:
        rules += [Setting("shift", f"{meter.rules.shift / 60:.0f}m"), Setting("pad_first", "yes")]
    if meter.rules.power_from_energy:
        rules.append(Setting("power_from_energy", f"{meter.rules.power_from_energy:.0f}m"))
    sections.append([f"[meter:{meter.id}]", *options(rules)])
    return "\n\n".join("\n".join(section) for section in sections)
