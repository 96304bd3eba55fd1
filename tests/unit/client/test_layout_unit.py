"""The layout: keys, fields and amounts as every writer and reader has them."""

import doctest
import json
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tallygate import layout

MODULES = ["layout", "_murmur2", "_calendar", "answers", "urls"]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    """The examples in the docstrings are true."""
    failed, tried = doctest.testmod(import_module(f"tallygate.{module}"))
    assert (failed, tried > 0) == (0, True)


def test_keys() -> None:
    """All keys of a partition carry its number as their hash tag, whatever the customer is called."""
    keys = layout.Keys("tally", 12)
    assert (keys.status, keys.due, keys.configured) == ("tally:{12}", "tally:{12}:x", "tally:{12}:c")
    assert keys.of("a}{b") == ("tally:{12}:u:a}{b", "tally:{12}:h:a}{b", "tally:{12}:x:a}{b")


@pytest.mark.parametrize(
    "group, text",
    [
        (None, ""),
        ({}, ""),
        ({"b": 1, "a": "x"}, '{"a":"x","b":1}'),
        ({"a": True, "b": False}, '{"a":true,"b":false}'),
        ({"a": Decimal("1E+3"), "b": 0.5, "c": Decimal("-0.0")}, '{"a":1000,"b":0.5,"c":0}'),
        ({"a": 'q"\\\n\x01é'}, '{"a":"q\\"\\\\\\n\\u0001é"}'),
    ],
)
def test_groups(group: Any, text: str) -> None:
    """A group's text is compact JSON, keys sorted, numbers in their shortest plain form."""
    assert layout.group_text(group) == text


@pytest.mark.parametrize("value", [None, [], {}, float("nan"), Decimal("Infinity")])
def test_what_is_no_group(value: Any) -> None:
    """Null, lists, objects and what is not finite are no values of a group."""
    with pytest.raises(ValueError, match=r"value|finite"):
        layout.group_text({"a": value})


def test_the_service_writes_groups_so_too() -> None:
    """The service's own text of a group is the gate's."""
    from schemas.totals import group_text

    groups: tuple[Any, ...] = ({"b": "x", "a": 2}, {"a": Decimal("2.50")}, {"a": 'ü"\n\x1f', "c": True}, {"ключ": "值"})
    for group in groups:
        assert group_text(group) == layout.group_text(group)


@given(st.text(min_size=1, max_size=40), st.integers(1, 64))
def test_the_service_places_customers_so_too(customer: str, partitions: int) -> None:
    """The service's own hash puts a customer into the gate's partition."""
    from stream.core import murmur2

    assert murmur2.partition_of(customer.encode(), partitions) == layout.partition_of(customer, partitions)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**14), max_value=10**14),
    st.integers(0, 8),
)
def test_scaled_rounds_up(value: Decimal, decimals: int) -> None:
    """A scaled amount is the least integer that is not below the amount times 10^decimals, within the bounds."""
    amount = int(layout.scaled(value, decimals))
    if abs(amount) < layout.MOST:
        assert amount - 1 < value.scaleb(decimals) <= amount
    else:
        assert abs(value.scaleb(decimals)) >= layout.MOST - 1


@pytest.mark.parametrize(
    "value, decimals, text",
    [
        ("0", 3, "0"),
        ("0E+99", 3, "0"),
        ("1E-40", 2, "1"),
        ("-1E-40", 2, "0"),
        ("-0.015", 2, "-1"),
        ("90071992547409.91", 2, "9007199254740991"),
        ("90071992547409.911", 2, "9007199254740991"),
        ("-1E+40", 0, "-9007199254740991"),
    ],
)
def test_scaled(value: str, decimals: int, text: str) -> None:
    """Amounts are rounded up, not away from zero, and saturate at +-(2^53 - 1)."""
    assert layout.scaled(Decimal(value), decimals) == text


def test_reading_a_customer() -> None:
    """A customer's hash reads as totals by window, with the states of gauges beside."""
    row = {
        "w": {
            "total": [[None, None, "7", 3, ""]],
            "hour": [[3600, 7200, "1.5", 2, "150"], [7200, 10800, "2", 1, "200"]],
        }
    }
    hash_ = {
        b":v": b"12",
        b":o": b"99",
        b":l": b"{}",
        b"usd": json.dumps(row).encode(),
        b'usd{"m":"x"}': b'{"w":{"day":[[0,86400,"4",1,""]]},"s":"4","ss":""}',
        b"users": b'{"w":{"total":[[null,null,"4012",5000,"","0.0081"]]}}',
    }
    found = layout.parse_customer(hash_)
    assert found is not None
    assert (found.version, found.position, dict(found.states)) == (12, 99, {'usd{"m":"x"}': "4"})
    assert list(found.totals) == [
        layout.Total("usd", {}, "hour", 3600, 7200, "1.5", 2),
        layout.Total("usd", {}, "hour", 7200, 10800, "2", 1),
        layout.Total("usd", {}, "total", None, None, "7", 3),
        layout.Total("usd", {"m": "x"}, "day", 0, 86400, "4", 1),
        layout.Total("users", {}, "total", None, None, "4012", 5000, "0.0081"),
    ]
    held = [(t.window, t.start) for t in found.at(7200) if t.metric == "usd"]
    assert held == [("hour", 7200), ("total", None), ("day", 0)]
    held = [(t.window, t.start) for t in found.at(7199.999) if t.metric == "usd"]
    assert held == [("hour", 3600), ("total", None), ("day", 0)]


def test_reading_what_is_not_there() -> None:
    """An alias, a customer with limits only, and an empty partition are no totals."""
    assert layout.parse_customer({b":a": b"acme"}) is None
    assert (layout.parse_alias({b":a": b"acme"}), layout.parse_alias({})) == ("acme", None)
    assert layout.parse_status({}) is None
    status = layout.parse_status({b"y": b"1", b"n": b"16", b"a": b"h:1"})
    assert status == layout.Status(None, None, None, complete=False, partitions=16, address="h:1")
