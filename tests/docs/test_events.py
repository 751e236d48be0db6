"""The events in ``docs/reference.md`` against those of the code."""

import json
from dataclasses import fields

from swarm.monitor import events
from tests.docs.test_readme import ROOT

KINDS = (events.Start, events.Progress, events.Problem, events.Notice, events.Stream, events.End)


def test_each_event_has_an_example_with_its_fields() -> None:
    """An example has the fields of its event in order, with values of the same types."""
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    lines = [line.split("|") for line in text.splitlines() if '`{"event"' in line]
    examples = {line[1].strip(" `"): json.loads(line[3].strip(" `")) for line in lines}
    assert [kind.event for kind in KINDS] == list(examples)
    for kind in KINDS:
        names = [each.name for each in fields(kind) if each.name != "streams"]
        example = examples[kind.event]
        assert {"event", *names} == example.keys()
        made = kind(**{name: example[name] for name in names}).as_dict()
        assert example == made
        assert next(iter(made)) == "event"
