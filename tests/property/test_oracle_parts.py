"""Parts of the core against the judge's: calendar, timestamps, decoding, filters."""

from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from schemas.load import load
from schemas.rejections import Refusal
from stream.core.calendar import calendar_for
from stream.core.decode import Decoder, Event
from stream.core.filters import metric_paths, passes
from stream.core.timestamps import BadTimestamp, microseconds
from tests.generators.definitions import filter_of
from tests.generators.events import BROKEN, message, properties
from tests.generators.instants import ZONES, base, changes, near
from tests.oracle import reading, rules, times
from tests.oracle.values import Number, compact, read_json

seeds = st.integers(min_value=0, max_value=2**40)
NAMES = ("n", "w", "s", "g", "op", "deep")


@dataclass
class Record:
    """A message as the decoder sees it."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    timestamp: int | None = None


@settings(max_examples=300, deadline=None)
@given(seed=seeds, zone=st.sampled_from(ZONES), anchor=st.sampled_from([None, 1, 15, 29, 30, 31]))
def test_windows_are_those_of_the_stepped_calendar(seed: int, zone: str, anchor: int | None) -> None:
    """Every kind's window has the bounds that stepping through the zone finds, also at changes of the clock."""
    rnd = Random(seed)
    us = near(rnd, base(rnd, zone), rnd.choice((1, 3_600, 86_400, 40 * 86_400)))
    days, ours = times.calendar_for(zone, anchor), calendar_for(zone, anchor)
    found = ours.windows(us)
    for kind, name in enumerate(times.KINDS):
        start, end = days.window(name, us // times.SECOND)
        if start is not None:
            assert (name, found[1 + kind], ours.end(kind, found[1 + kind])) == (name, start, end)
    assert ours.date(us // times.SECOND) == days.day_of(us // times.SECOND).isoformat()


@pytest.mark.parametrize("zone", ZONES)
def test_windows_around_every_change_of_the_clock(zone: str) -> None:
    """At each change, a second before and after it, and an hour away, all kinds have the stepped bounds."""
    days, ours = times.calendar_for(zone, None), calendar_for(zone, None)
    for change in changes(zone):
        for second in (change - 3_600, change - 1, change, change + 1, change + 1_799, change + 3_600):
            found = ours.windows(second * times.SECOND)
            for kind, name in enumerate(times.KINDS[:4]):
                assert (found[1 + kind], ours.end(kind, found[1 + kind])) == days.window(name, second)


NUMBER = st.from_regex(r"\A-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?\Z")
STAMP = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9]|)\Z"
)


@settings(max_examples=500)
@given(text=st.one_of(STAMP, NUMBER, st.text(max_size=30)))
@example("1e11")
@example("99999999999.9999999")
@example("-0.0000001")
@example("9999-12-31T23:59:59.9999999Z")
@example("9999-12-31T23:59:59-00:01")
@example("0001-01-01T00:00:00+00:01")
@example("\uff12026-03-05T12:00:00Z")
def test_timestamps_are_read_alike(text: str) -> None:
    """A text is the same instant to both, or no timestamp to both."""
    try:
        expected: int | str = times.instant(text)
    except times.BadTimestampError:
        expected = "bad"
    try:
        got: int | str = microseconds(text)
    except BadTimestamp:
        got = "bad"
    assert got == expected


def seen(record: Record) -> tuple[Any, ...]:
    """What the judge reads in a record."""
    headers = [(name, text or b"") for name, text in record.headers]
    record_us = None if record.timestamp is None else record.timestamp * 1_000
    try:
        event = reading.read_message(record.value, headers, record_us)
    except reading.RefusedError as refused:
        return (refused.reason,)
    identity = event.identity[-1] if event.identity[0] == "id" else event.identity
    read = [None if (value := event.properties.get(name)) is None else compact(value) for name in NAMES]
    return (identity, event.name, event.customer, event.us, read)


def shown(found: Event | Refusal, layout: Any) -> tuple[Any, ...]:
    """What the product read in a record, in the same form."""
    if isinstance(found, Refusal):
        return (found.reason,)
    try:
        us = microseconds(found.timestamp)
    except BadTimestamp:
        return ("bad_timestamp",)
    identity: Any = found.id
    if found.id.startswith("\x1f"):
        length, _, rest = found.id[1:].partition(":")
        identity = ("cloudevent", rest[: int(length)], rest[int(length) :])
    values = [layout.get(found.properties, (name,)) for name in NAMES]
    return (identity, found.event_name, found.customer_id, us, values)


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_messages_are_decoded_alike(seed: int) -> None:
    """Identity, name, customer, instant and which properties are there, or the same reason of refusal."""
    rnd = Random(seed)
    decoder = Decoder([(name,) for name in NAMES])
    values = [message(rnd, 1_772_712_000, 86_400, 1_000) for _ in range(20)] + [rnd.choice(BROKEN)]
    records = [Record(value) for value in values] + [binary(rnd, value) for value in values[:5]]
    for record, found in zip(records, decoder.block(records), strict=True):
        expected, got = seen(record), shown(found, decoder.layout)
        assert got[:-1] == expected[:-1] if len(expected) > 1 else got == expected, record
        if len(expected) > 1:
            assert [value is None for value in got[-1]] == [value is None for value in expected[-1]], record


def binary(rnd: Random, value: bytes) -> Record:
    """A binary CloudEvent with the properties of a message, now and then without one of its attributes."""
    try:
        body = read_json(value)
        data = body.get("properties") if isinstance(body, dict) else None
    except ValueError:
        data = None
    headers: list[tuple[str, bytes | None]] = [
        *(("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"a")),
        *(("ce_subject", b"acme"), ("ce_time", b"2026-03-05T12:00:00Z")),
    ]
    if rnd.randrange(2):
        headers.pop(rnd.randrange(1, 6))
    return Record(compact(data or {}), headers, 1_772_712_000_123)


@settings(max_examples=300, deadline=None)
@given(seed=seeds)
def test_filters_pass_alike(seed: int) -> None:
    """A nest of filters lets the same events through."""
    rnd = Random(seed)
    filters = [filter_of(rnd, 0) for _ in range(2)]
    metric = {"event_name": "a", "type": "counter", "aggregation": "count", "filters": filters}
    loaded = load(compact({"metrics": {"m": metric}}).decode(), "metrics.json").metrics["m"]
    decoder = Decoder(metric_paths(loaded))
    for _ in range(10):
        body = {
            "id": "1",
            "event_name": "a",
            "customer_id": "c",
            "timestamp": Number("1"),
            "properties": properties(rnd),
        }
        line = compact(body)
        expected = rules.passes_all(filters, reading.read_line(line))
        event = decoder.block([Record(line)])[0]
        assert isinstance(event, Event)
        got = all(passes(one, partial(decoder.layout.get, event.properties)) for one in loaded.filters)
        assert got == expected, (filters, line)
