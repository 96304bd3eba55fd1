"""What holds of the reading of any bytes at all."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings, strategies as st

from schemas.rejections import REASONS, Refusal
from stream.core.calendar import calendar_for
from stream.core.decode import Decoder, Event
from stream.core.groups import part
from stream.core.timestamps import BadTimestamp, microseconds
from tests.oracle import reading
from tests.oracle.values import Number, exact

DECODER = Decoder([("a",), ("b", "a"), ("value",)])
UNUSED = Decoder([])


class Sent(NamedTuple):
    """A record as the decoder sees it."""

    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int | None = 1_772_712_000_500


FAR = "9" * 19
NUMBERS = st.sampled_from(
    """0 -0 1 1.0 -1.5 1e2 1E-3 10.00 1e35 1e36 1e400 1E-400 0e500 -0.0 100000000000 1772712000.123456789
    12345678901234567890 1e9999999999999999999 -1e-9999999999999999999""".split()  # noqa: SIM905 (numbers read better so)
) | st.sampled_from(["9" * 50, "1" * 4500, "0." + "1" * 40])
TEXTS = (
    st.sampled_from(
        [
            "",
            "a",
            "x" * 64,
            "x" * 65,
            "x" * 256,
            "x" * 257,
            "\u00e9" * 128,
            "\u00e9" * 129,
            "\x00",
            "\x7f",
            "\x85",
            "\u2028",
        ]
    )
    | st.sampled_from(
        [
            "2026-03-05T12:00:00.250Z",
            "2026-03-05 12:00:00Z",
            "2016-12-31T23:59:60Z",
            "1772712000",
            "1e400",
            f"1e{FAR}",
            "1.0",
        ]
    )
    | st.text(max_size=5)
)
SCALARS = (
    NUMBERS
    | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=len(text) % 2 == 0))
    | st.sampled_from(["true", "false", "null"])
)
ODD = st.sampled_from(
    ["NaN", "-Infinity", "01", "1.", '"\\ud800"', '"\\ud83d\\ude00"', '"\n"', '"\\q"', "tru", "", "[" * 200 + "]" * 200]
)


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON lists of these values."""
    return st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")


def objects(names: list[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON objects with these names, some of them twice."""
    pairs = st.lists(st.tuples(st.sampled_from(names), inner), max_size=4)
    return pairs.map(lambda items: "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in items) + "}")


VALUES = st.recursive(SCALARS, lambda inner: lists(inner) | objects(["a", "b", "value"], inner), max_leaves=5)
PROPERTIES = objects(["a", "b", "value", "c"], VALUES)
STAMPS = st.sampled_from(
    ['"2026-03-05T12:00:00.250Z"', "1772712000", "1772712000250", '"1772712000.5"', "1772712000.0000019"]
)
IDS = st.sampled_from(['"ev_1"', "7", '"\u00e9"', "-0", '"a b"'])
ANY = VALUES | ODD


def messages(fields: dict[str, st.SearchStrategy[str]], extra: list[str]) -> st.SearchStrategy[str]:
    """A JSON object with most of the fields, now and then with a strange value or name."""

    @st.composite
    def build(draw: st.DrawFn) -> str:
        pairs = [(name, draw(value)) for name, value in fields.items()]
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
            at = draw(st.integers(0, len(pairs) - 1))
            change = draw(st.sampled_from(["drop", "value", "add", "swap"]))
            if change == "drop" and len(pairs) > 1:
                pairs.pop(at)
            elif change == "value":
                pairs[at] = pairs[at][0], draw(ANY)
            elif change == "add":
                pairs.insert(at, (draw(st.sampled_from([*fields, *extra])), draw(ANY)))
            else:
                pairs.append(pairs.pop(at))
        return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"

    return build()


NATIVE = {"id": IDS, "event_name": st.just('"e"'), "customer_id": IDS, "timestamp": STAMPS, "properties": PROPERTIES}
CLOUD = {
    "specversion": st.just('"1.0"'),
    "id": IDS,
    "source": IDS,
    "type": st.just('"e"'),
    "subject": IDS,
    "time": STAMPS,
    "data": PROPERTIES,
}
EXTRA = [
    "uniqueId",
    "eventName",
    "accountId",
    "code",
    "transaction_id",
    "external_customer_id",
    "reservation",
    "time_created",
    "x",
]
MESSAGES = (
    messages(NATIVE, EXTRA) | messages(NATIVE, EXTRA) | messages(CLOUD, ["reservation", "customer_id", "x"])
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with some bytes replaced, cut out or put in."""
    data = bytearray(draw(MESSAGES))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b"\\", b"\xff", b"1", b"e"])
        )
    return bytes(data)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_specversion", "content-type", "trace"]
        ),
        st.sampled_from(
            [b"1.0", b"ev_1", b"", b"2026-03-05T12:00:00Z", b"1772712000", b"\xff", b"\x00", b"null", "\u00e9".encode()]
        ),
    ),
    max_size=8,
).map(tuple)


def answer(value: bytes | None, headers: Any = ()) -> Event | Refusal:
    """The decoder's answer, having checked that its two paths agree and that it does not matter what is used."""
    record = Sent(value, headers)
    [found] = DECODER.block([record])
    complete = DECODER.record(record)
    [unused] = UNUSED.block([record])
    if isinstance(complete, Refusal):
        assert found == complete == unused
        assert complete.reason in REASONS
        assert 0 < len(complete.detail) < 400
        assert complete.detail.isprintable()
        return complete
    assert isinstance(found, Event)
    assert isinstance(unused, Event)
    for name in ("id", "event_name", "customer_id", "timestamp", "reservation"):
        assert getattr(found, name) == getattr(complete, name) == getattr(unused, name)
        assert getattr(found, name).__class__ is getattr(complete, name).__class__
    assert found.properties == complete.properties
    assert repr(found.properties) == repr(complete.properties)
    return complete


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60) | damaged(), HEADERS)
@example(None, ())
@example(b"[" * 200_000, ())
@example(b'{"a":' * 200_000, ())
@example(b'{"id":"' + b"\\ud800" * 100_000, ())
@example(b'{"id":"' + b'\\"' * 400_000, ())
@example(b"1" * 1_000_000, ())
def test_no_bytes_make_the_decoder_raise(value: bytes | None, headers: Any) -> None:
    """Whatever a record holds, the answer is an event or a refusal with a reason and a sentence, on both paths alike."""
    answer(value, headers)


def shown(value: Any) -> Any:
    """A property as the judge would hold it: numbers by their exact value."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {name: shown(each) for name, each in value.items()}
    return ("number", exact(str(value)))


def judged(value: Any) -> Any:
    """The judge's property in the same form."""
    if isinstance(value, Number):
        return ("number", exact(value))
    if isinstance(value, list):
        return [judged(each) for each in value]
    if isinstance(value, dict):
        return {name: judged(each) for name, each in value.items()}
    return value


@settings(max_examples=600, deadline=None)
@given(MESSAGES | damaged(), st.just(()) | HEADERS)
def test_the_decoder_agrees_with_the_independent_judge(value: bytes, headers: Any) -> None:
    """The judge, which shares no code with the decoder, comes to the same event or the same reason."""
    if b"[" * 100 in value or any(name == "ce_specversion" and text != b"1.0" for name, text in headers):
        return  # the judge has no limit to nesting, and does not look at the version
    found = answer(value, headers)
    expected = judgement(value, headers)
    if isinstance(expected, reading.RefusedError):
        if expected.reason == "malformed" and not value:
            return  # the judge takes an empty message for no data
        if isinstance(found, Event):
            with pytest.raises(BadTimestamp):
                microseconds(found.timestamp)
        assert (found.reason if isinstance(found, Refusal) else "bad_timestamp") == expected.reason
        return
    if isinstance(found, Refusal):
        assert "specversion" in found.detail, (found, expected)
        return
    hold = usable(expected.reservation)
    assert (found.customer_id, found.event_name, found.reservation) == (expected.customer, expected.name, hold)
    assert microseconds(found.timestamp) == expected.us
    assert found.id.endswith(expected.identity[-1])
    assert (found.id == expected.identity[-1]) == (expected.identity[0] == "id")
    for path in ("a", "b.a", "value"):
        value_found = DECODER.layout.get(found.properties, tuple(path.split(".")))
        assert shown(value_found) == judged(reading.reach(expected.properties, path))


def judgement(value: bytes, headers: Any) -> "reading.Event | reading.RefusedError":
    """What the judge says of a record."""
    try:
        return reading.read_message(value, headers, 1_772_712_000_500_000)
    except reading.RefusedError as refused:
        return refused


def usable(hold: str | None) -> str | None:
    """The judge takes any text or number for a hold; we only what can be the id of one."""
    try:
        return None if hold is None else reading.identifier(hold)
    except reading.RefusedError:
        return None


def exact_json(text: str) -> Any:
    """JSON with exact numbers."""
    return json.loads(text, parse_float=Decimal)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | STAMPS.map(exact_json) | st.integers() | NUMBERS)
def test_a_calendar_answers_any_stamp_or_refuses_it(stamp: str | int | Decimal) -> None:
    """A calendar gives windows, or raises BadTimestamp with one printable line; nothing else."""
    said = "ok"
    try:
        windows = calendar_for("America/New_York")[stamp]
    except BadTimestamp as error:
        said = str(error)
    else:
        assert len(windows) == 10
    assert said.isprintable()
    assert 0 < len(said) < 250


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_a_group_s_part_is_json_of_bounded_size(value: str) -> None:
    """The JSON of a group's value is readable and short, whatever the event holds."""
    text = b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,"properties":{"a":%s}}' % value.encode(
        "utf-8", "surrogatepass"
    )
    found = answer(text)
    if isinstance(found, Event):
        json_text = part(found.properties.p0)
        if json_text is not None:
            assert (
                len(json.dumps(json.loads(json_text, parse_float=str, parse_int=str), ensure_ascii=False).encode())
                <= 6 * 256 + 2
            )
