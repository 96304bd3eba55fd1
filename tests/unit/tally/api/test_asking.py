"""What a caller asks of the gate is checked whole, and what is wrong is named by its path."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tallygate import Line

from tally.api.asking import read
from tally.api.problems import Wrong


def asked(body: Any, *needs: str) -> Any:
    """Read an object."""
    return read(json.dumps(body).encode(), needs=needs or ("lines",))


def test_one_line_stands_beside_the_customer() -> None:
    """Metric, group and cost beside `customer` are one line; a decimal keeps the digits that were written."""
    found = read(
        b'{"customer": 42, "metric": "tokens", "group": {"tier": 1.0, "beta": true}, "cost": 0.10, "id": 7, '
        b'"ttl_ms": 1500, "max_staleness_ms": 250}',
        needs=("lines",),
    )
    assert (found.customer, found.id, found.ttl_s, found.max_staleness_s) == ("42", "7", 1.5, 0.25)
    assert found.lines == (Line("tokens", Decimal("0.10"), {"tier": Decimal("1.0"), "beta": True}),)
    assert str(found.lines[0].cost) == "0.10"


def test_lines_are_read_in_their_order_and_null_is_as_if_absent() -> None:
    """A cost is 1, a time to live a minute and the staleness each limit's own unless said."""
    lines = [{"metric": "b", "cost": "2.5"}, {"metric": "a", "group": None, "cost": None}]
    found = asked({"customer": "acme", "lines": lines, "metric": None, "id": None})
    assert found.lines == (Line("b", "2.5"), Line("a", 1))
    assert (found.id, found.ttl_s, found.max_staleness_s) == (None, 60.0, None)


def test_a_release_needs_no_line() -> None:
    """Its customer and id are enough."""
    found = asked({"customer": "acme", "id": "hold"}, "id")
    assert (found.lines, found.id) == ((), "hold")


@pytest.mark.parametrize(
    "body, path, says",
    [
        ({}, "customer", "is missing"),
        ({"customer": "acme"}, "metric", "is missing: write the metric's key, or lines"),
        ({"customer": "", "metric": "m"}, "customer", "1 to 256 bytes"),
        ({"customer": "a\u0000", "metric": "m"}, "customer", "control character"),
        ({"customer": 1.5, "metric": "m"}, "customer", "is a number: write text"),
        ({"customer": True, "metric": "m"}, "customer", "is a truth value"),
        ({"customer": "acme", "metric": "m", "kost": 1}, "kost", "did you mean cost?"),
        ({"customer": "acme", "metric": "m", "zzzzzz": 1}, "zzzzzz", "there are customer, lines"),
        ({"customer": "acme", "metric": "m", "lines": [{"metric": "m"}]}, "metric", "stands beside lines"),
        ({"customer": "acme", "lines": [{"metric": "m"}], "cost": 2}, "cost", "stands beside lines"),
        ({"customer": "acme", "cost": 2}, "metric", "is missing beside cost"),
        ({"customer": "acme", "lines": {}}, "lines", "is an object: write a list"),
        ({"customer": "acme", "lines": []}, "lines", "has 0 lines: write 1 to 100"),
        ({"customer": "acme", "lines": [{"metric": "m"}] * 101}, "lines", "has 101 lines"),
        ({"customer": "acme", "lines": [{"metric": "m"}, 7]}, "lines[1]", "is a number: write an object"),
        ({"customer": "acme", "lines": [{"metrik": "m"}]}, "lines[0].metrik", "did you mean metric?"),
        ({"customer": "acme", "lines": [{"cost": 1}]}, "lines[0].metric", "is missing"),
        ({"customer": "acme", "metric": "no key"}, "metric", "is no metric's key"),
        ({"customer": "acme", "metric": 3}, "metric", "is no metric's key"),
        ({"customer": "acme", "lines": [{"metric": "m", "cost": []}]}, "lines[0].cost", "is a list: write a number"),
        ({"customer": "acme", "metric": "m", "cost": True}, "cost", "is a truth value"),
        ({"customer": "acme", "metric": "m", "cost": -1}, "cost", "0 or more"),
        ({"customer": "acme", "metric": "m", "cost": "1_0"}, "cost", "is text that is no number"),
        ({"customer": "acme", "metric": "m", "cost": "1e36"}, "cost", "below 10^36"),
        ({"customer": "acme", "metric": "m", "cost": "1e-31"}, "cost", "30 decimals"),
        ({"customer": "acme", "metric": "m", "group": "m1"}, "group", "is text: write an object"),
        ({"customer": "acme", "metric": "m", "group": {"model": None}}, "group.model", "is null: write text"),
        ({"customer": "acme", "metric": "m", "group": {"model": ["x"]}}, "group.model", "is a list"),
        ({"customer": "acme", "metric": "m", "group": {"model": "x" * 257}}, "group.model", "longer than 256 bytes"),
        ({"customer": "acme", "metric": "m", "ttl_ms": 0}, "ttl_ms", "is 0: write a whole number"),
        ({"customer": "acme", "metric": "m", "ttl_ms": 3_600_001}, "ttl_ms", "from 1 to 3600000"),
        ({"customer": "acme", "metric": "m", "ttl_ms": "60"}, "ttl_ms", "is text"),
        ({"customer": "acme", "metric": "m", "ttl_ms": True}, "ttl_ms", "is a truth value"),
        ({"customer": "acme", "metric": "m", "ttl_ms": 1.5}, "ttl_ms", "is a number"),
        ({"customer": "acme", "metric": "m", "max_staleness_ms": -1}, "max_staleness_ms", "is -1"),
        ({"customer": "acme", "metric": "m", "id": ""}, "id", "1 to 256 bytes"),
    ],
)
def test_what_is_wrong_is_named(body: Any, path: str, says: str) -> None:
    """The path leads to the fault, and the sentence says what to write."""
    with pytest.raises(Wrong) as found:
        asked(body)
    assert (found.value.status, found.value.path) == (400, path)
    assert says in found.value.sentence
    assert found.value.sentence.startswith(f"{path}: ")


@pytest.mark.parametrize(
    "body, says",
    [
        (b"", "the body is empty"),
        (b"null", "the body is empty"),
        (b"{", "it is no JSON"),
        (b"\xff", "it is not UTF-8"),
        (b'{"customer": NaN}', "NaN, which is no JSON number"),
        (b"[]", "the body is a list: send one JSON object"),
        (b"[" * 100_000, "levels deep"),
        (b'{"customer": "\\ud800", "metric": "m"}', "surrogate"),
    ],
)
def test_a_body_that_is_no_object_is_wrong(body: bytes, says: str) -> None:
    """Whatever the bytes, the answer is a sentence."""
    with pytest.raises(Wrong) as found:
        read(body, needs=("lines",))
    assert (found.value.status, found.value.path) == (400, None)
    assert says in found.value.sentence


@pytest.mark.parametrize("number", ["1e999999999", "-1e-999999999", "1e99999999999999999999"])
def test_a_number_of_a_huge_exponent_is_not_written_out(number: str) -> None:
    """A few bytes must not become a gigabyte: as a cost and as a group's value they are refused."""
    for field in (f'"cost": {number}', f'"group": {{"tier": {number}}}'):
        with pytest.raises(Wrong):
            read(f'{{"customer": "acme", "metric": "m", {field}}}'.encode(), needs=("lines",))
