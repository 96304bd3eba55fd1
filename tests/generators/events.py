"""Random messages: events in every dialect, duplicates, odd values, and what is no event at all."""

from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from tests.generators.definitions import EVENT_NAMES, FEATURES
from tests.generators.instants import near, timestamp
from tests.oracle.values import Number, compact

CUSTOMERS: tuple[Any, ...] = ("acme", "acct_42", "acme!", Number("7"), "7", 'é "!')
NUMBERS = (
    *("0", "1", "1", "2", "3", "5", "-1", "-2", "1.0", "0.1", "0.1", "2.50", "1e1", "1E-2", "-0.5"),
    *("123456789012345678901234567890", "0.000000000000000000000000000001", "999999999999999999999999999999999999"),
)
WILD: tuple[Any, ...] = (
    *(Number(text) for text in NUMBERS),
    *("1", "-2.5", "1e2", "", "x", " 1", "+1", "01", "1.", ".5", "NaN"),
    *(True, False, None),
    *(Number("1e36"), Number("1e-31"), Number("-1e40"), Number("0.1234567890123456789012345678901"), Number("1e400")),
)
TEXTS: tuple[Any, ...] = (
    "x",
    "y",
    "x",
    "y",
    "z",
    "é",
    'a"b',
    "1",
    Number("1"),
    Number("1.0"),
    True,
    None,
    "",
    "w" * 257,
)
BROKEN = (
    *(b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b'{"id": 1 "a": 2}', b"\xef\xbb\xbf{}"),
    b'{"id":"x","event_name":"a","customer_id":"acme","timestamp":1e9,"properties":{"n":NaN}}',
    b'{"id":"x","event_name":"a","customer_id":"acme","timestamp":1e9,"properties":{"n":-Infinity}}',
    b'{"id":"x","event_name":"a","customer_id":"acme","timestamp":1e9,"properties":[1]}',
    b'{"id":"x","event_name":"a","customer_id":"acme","timestamp":1e9,"properties":"n"}',
    b'{"id":1.0,"event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"x","event_name":"a","customer_id":1e2,"timestamp":1e9}',
    b'{"id":true,"event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"","event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"\\u0007","event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"x","event_name":"a","customer_id":"' + b"c" * 257 + b'","timestamp":1e9}',
    b'{"event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"x","customer_id":"acme","timestamp":1e9}',
    b'{"id":"x","event_name":"a","timestamp":1e9}',
    b'{"id":null,"event_name":"a","customer_id":"acme","timestamp":1e9}',
    b'{"id":"x","event_name":"a","customer_id":"acme"}',
    b'{"specversion":"1.0","id":"x","source":"s","type":"a","subject":"acme"}',
    b'{"specversion":"1.0","id":"x","source":"s","type":"a","time":"2026-03-05T12:00:00Z"}',
    *(
        b'{"id":"x","event_name":"a","customer_id":"acme","timestamp":%b}' % stamp
        for stamp in (
            *(b'"2026-03-05"', b'"2026-03-05 12:00:00Z"', b'"2026-03-05T12:00:00"', b'"2026-02-30T12:00:00Z"'),
            *(
                b'"2016-12-31T23:59:60Z"',
                b'"0000-01-01T00:00:00Z"',
                b'"2026-03-05T24:00:00Z"',
                b"1e99",
                b"-1e12",
                b"true",
            ),
            *(b'"2026-03-05T12:00:00,5Z"', b'"2026-03-05T12:00:00.Z"', b'"2026-3-5T12:00:00Z"', b'"20260305T120000Z"'),
            *(
                b'"2026-03-05T12:00:00+0100"',
                b'"2026-03-05T12:00Z"',
                b'"+2026-03-05T12:00:00Z"',
                b'"2026-03-05T12:00:00+24:00"',
            ),
        )
    ),
)
ODD = (
    b' \t{"id":"o1","event_name":"a","customer_id":"acme","timestamp":%b,"properties":{"n":1,"s":"x"}} \r\n',
    b'{"\\u0069d":"o2","event_name":"\\u0061","customer_id":"ac\\u006de","timestamp":%b,"properties":{"\\u006e":2}}',
    b'{"id":"x","id":"o3","event_name":"a","customer_id":"acme","timestamp":%b,"properties":{"n":7,"n":3}}',
    b'{"id":-0,"event_name":"b","customer_id":-5,"timestamp":%b,"properties":{"n":-0,"w":-0.0,"s":"\\ud83d\\ude00"}}',
    b'{"id":"o5","event_name":"a","customer_id":"acme","timestamp":%b,"properties":{"n":1,"deep":'
    + b"[" * 90
    + b"]" * 90
    + b"}}",
    b'{"id":"o6","event_name":"b","customer_id":"acme","timestamp":%b,"properties":{"n":' + b"9" * 5_000 + b',"w":2}}',
    b'{"id":"o7","event_name":"u","customer_id":"acme","timestamp":%b,"properties":{"n":1e99999999999999999999,"w":1e-400}}',
    b'{"id":"o8","event_name":"v","customer_id":"acme","timestamp":%b,"properties":{"n":1.50e2,"a \\"b":4,"\xc3\xa9":true}}',
    b'{"id":"o9","event_name":"a","customer_id":"acme","timestamp":%b,"properties":null,"unknown":{"x":[1,2]}}',
    b'{"id":"o10","event_name":"b","customer_id":"acme","timestamp":%b,"properties":{"n":2,"g":[1,{"b":2.0}],"s":[1]}}',
    b'{"id":"o11","event_name":"a","customer_id":"acme","timestamp":%b,"properties":{"n":"\\ud800","s":"x"}}',
    b'{"id":12345678901234567890123,"event_name":"a","customer_id":"acme","timestamp":%b,"reservation":7,"properties":{"n":1}}',
)
"""Messages that are rare but right (all but o11, whose lone surrogate is no text), to be given a timestamp."""
BLANK = (b"", b"  ", b"\t")


def properties(rnd: Random) -> dict[str, Any]:
    """The properties that the definitions above may read, some of them odd."""
    made: dict[str, Any] = {}
    if rnd.randrange(10):
        made["n"] = Number(rnd.choice(NUMBERS))
    if rnd.randrange(3):
        made["w"] = rnd.choice(WILD)
    if rnd.randrange(4):
        made["s"] = rnd.choice(TEXTS)
    if rnd.randrange(3):
        made["g"] = rnd.choice((Number("1"), Number("1.0"), "1", True, "m", "m", [Number("1")], {"a": "b"}))
    if rnd.randrange(5) == 0:
        made |= {'a "b': Number(rnd.choice(NUMBERS)), "é": rnd.choice((True, "x"))}
    if rnd.randrange(3):
        made["op"] = rnd.choice(("add", "add", "add", "remove", "remove", "other"))
    if rnd.randrange(3):
        made["deep"] = rnd.choice(({"x": Number("2")}, {"x": "3"}, {"x": None}, {}, "flat", {"x": {"y": Number("1")}}))
    return made


def message(
    rnd: Random,
    second: int,
    span: int,
    ids: int,
    features: Collection[str] = FEATURES,
    names: Sequence[str] = EVENT_NAMES,
    us: int | None = None,
) -> bytes:
    """One line of the file or one value of the topic, about a second or at an instant."""
    if "bad" in features and rnd.randrange(20) == 0:
        return rnd.choice(BROKEN)
    if "bad" in features and rnd.randrange(25) == 0:
        return rnd.choice(ODD) % compact(timestamp(rnd, near(rnd, second, span) if us is None else us))
    number, us = rnd.randrange(ids), near(rnd, second, span) if us is None else us
    body = {
        "id": rnd.choice((f"e{number}", Number(str(number)), str(number))),
        "event_name": rnd.choice(names if rnd.randrange(5) else EVENT_NAMES),
        "customer_id": rnd.choice(CUSTOMERS[: rnd.choice((1, 2, 6))]),
        "timestamp": timestamp(rnd, us),
        "properties": properties(rnd),
    }
    if rnd.randrange(10) == 0:
        body["reservation"] = f"hold-{number}"
    if "dialects" in features and rnd.randrange(6) == 0:
        body = in_dialect(rnd, body)
    return compact(body)


DIALECTS: tuple[dict[str, str], ...] = (
    {"id": "uniqueId", "event_name": "eventName", "customer_id": "accountId"},
    {"id": "idempotency_id", "timestamp": "time_created"},
    {"id": "transaction_id", "event_name": "code", "customer_id": "external_customer_id"},
    {"id": "transaction_id", "event_name": "code", "customer_id": "external_subscription_id"},
)


def in_dialect(rnd: Random, body: dict[str, Any]) -> dict[str, Any]:
    """The same event as another system's producer sends it."""
    if rnd.randrange(3) == 0:
        names = {"event_name": "type", "customer_id": "subject", "timestamp": "time", "properties": "data"}
        more = {"specversion": "1.0", "source": rnd.choice(("s", "e", "e1"))}
        return {names.get(key, key): value for key, value in body.items()} | more
    chosen = rnd.choice(DIALECTS)
    return {chosen.get(key, key): value for key, value in body.items()}
