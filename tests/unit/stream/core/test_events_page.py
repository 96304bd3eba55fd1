"""The examples of docs/events.md, run."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from schemas.load import load
from stream.core.calendar import calendar_for
from stream.core.decode import Decoder, Event
from stream.core.dialects import CLOUD_EVENT, NAMES
from stream.core.simulate import simulate

PAGE = Path(__file__).parents[4].joinpath("docs/events.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DECODER = Decoder([("region",), ("value",)])


class Sent(NamedTuple):
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None


def events(value: str, headers: tuple[tuple[str, bytes], ...] = ()) -> list[Event]:
    """The events of a block of lines, each of which must be one."""
    found = DECODER.block([Sent(line.encode(), headers) for line in value.splitlines()])
    assert all(isinstance(each, Event) for each in found), found
    return [each for each in found if isinstance(each, Event)]


def said(found: Event) -> tuple[object, ...]:
    """What an event says, but for its id."""
    us = calendar_for("UTC")[found.timestamp][0]
    return found.event_name, found.customer_id, us, found.properties.p0, found.properties.p1


def test_every_dialect_s_example_is_the_same_event() -> None:
    """The page's event reads the same in our own, Alguna's, Lotus' and Lago's names and as both kinds of CloudEvent."""
    [headers] = [
        tuple((name, text.encode()) for name, _, text in (line.partition(": ") for line in block.splitlines()))
        for kind, block in BLOCKS
        if kind == "headers"
    ]
    blocks = [block for kind, block in BLOCKS if kind == "json" and block.count("\n") == 1]
    assert len(blocks) == 6
    found = [event for block in blocks for event in events(block, () if "ev_1" in block else headers)]
    assert {said(event) for event in found} == {("api_request", "acme", 1_772_712_000_250_000, "NA", 3)}
    assert [event.id for event in found[:4]] == ["ev_1"] * 4
    assert found[4].id == found[5].id != "ev_1"


def test_every_timestamp_s_example_is_the_same_instant() -> None:
    """The page's five ways to write a timestamp are one instant."""
    [block] = [block for kind, block in BLOCKS if kind == "json" and block.count("\n") == 5]
    stamps = [calendar_for("UTC")[event.timestamp] for event in events(block)]
    assert [windows[0] for windows in stamps] == [1_772_712_000_250_000] * 5
    assert len(set(stamps)) == 1


def test_the_refusals_are_those_that_are_printed() -> None:
    """The page's bad lines give its reasons and sentences, to the letter."""
    lines, answers = [block for kind, block in BLOCKS if kind == "jsonl"]
    definitions = load(
        '{"metrics": {"m": {"event_name": "e", "type": "counter", "aggregation": "count"}}}', "metrics.json"
    )
    report = simulate(definitions, [line.encode() for line in lines.splitlines()])
    assert report["rejected"] == [json.loads(line) for line in answers.splitlines()]


def test_the_table_names_every_field_of_every_dialect() -> None:
    """No name that is read is missing from the page."""
    for names in (NAMES, CLOUD_EVENT):
        for candidates in names.values():
            assert all(f"`{name}`" in PAGE for name in candidates)
