"""Put the files of one meter together: a file for each year, month or day."""

from collections.abc import Sequence
from dataclasses import replace

from swarm.init.guess import Guess
from swarm.init.periods import pattern_of
from swarm.init.writer import Setting

#: Options that some files of a meter may lack.
_OPTIONAL = (
    "empty_rows",
    "encoding",
    "hour_24",
    "interval",
    "missing",
    "skip_prefixes",
    "thousands",
)


def merged(members: Sequence[Guess]) -> Guess | str:
    """Return one guess for several files, or the reason why they are not of one meter."""
    first = members[0]
    if len({member.start for member in members}) < len(members):
        return "their rows begin at the same time"
    by_option: dict[str, list[Setting]] = {}
    for member in members:
        for setting in member.settings:
            by_option.setdefault(setting.option, []).append(setting)
    settings: list[Setting] = []
    for option, found in by_option.items():
        if len(found) < len(members) and option not in _OPTIONAL:
            return f"only some of them need {option}"
        common = _common(found)
        if common is None:
            texts = ", ".join(dict.fromkeys(each.text for each in found))
            return f"they need different settings: {option} = {texts}"
        settings.append(common)
    paths = [member.path for member in members]
    return replace(
        first,
        settings=tuple(settings),
        members=tuple(members),
        pattern=pattern_of(paths),
    )


def _common(found: Sequence[Setting]) -> Setting | None:
    """Return the setting for several files, None if they contradict each other."""
    option = found[0].option
    if option in {"missing", "skip_prefixes"}:
        words = dict.fromkeys(word for each in found for word in each.text.split(", "))
        return Setting(option, ", ".join(words), next((e.doubt for e in found if e.doubt), ""))
    # If one file shows whether the day comes first, it is so in the others.
    certain = [each for each in found if not each.doubt]
    if option == "timestamp_format" and certain:
        left = {each.text for each in certain}
        text = left.pop()
        is_possible = all(text in (each.text, *each.doubt.split()) for each in found)
        return certain[0] if not left and is_possible else _same(found)
    return _same(found)


def _same(found: Sequence[Setting]) -> Setting | None:
    """Return the setting that all files have, with a doubt if one has it; None if they differ."""
    if len({each.text for each in found}) > 1:
        return None
    return next((each for each in found if each.doubt), found[0])
