"""Values on their way out and into the changelog."""

import doctest
import importlib
import pkgutil
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

import stream.core.metrics
from schemas.definitions import Rounding
from stream.core import text
from stream.core.metrics.base import kept
from stream.core.metrics.packs import PART, Packs, Parts
from stream.core.metrics.rounding import rounded, rounded_decimal
from stream.core.metrics.table import Table
from stream.core.metrics.wire import decode, encode, packed, plain_of, unpacked, value_of

MODULES = [
    text,
    *(
        importlib.import_module(f"stream.core.metrics.{found.name}")
        for found in pkgutil.iter_modules(stream.core.metrics.__path__)
    ),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    """Each aggregation's doctest, and every other, says the truth."""
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", ["counter", "gauge", "measures", "rate", "unique", "rounding", "wire"])
def test_there_are_examples(name: str) -> None:
    """The modules that people read first have examples."""
    assert doctest.testmod(importlib.import_module(f"stream.core.metrics.{name}")).attempted >= (
        0 if name == "gauge" else 1
    )


@pytest.mark.parametrize(
    "value, shown",
    [
        (0, "0"),
        (-7, "-7"),
        (Decimal("-0.00"), "0"),
        (Decimal("0E-7"), "0"),
        (Decimal("1.2300"), "1.23"),
        (Decimal("1E+20"), "100000000000000000000"),
        (Decimal(100), "100"),
        (Decimal("1E-30"), "0.000000000000000000000000000001"),
        (Fraction(1, 2**20), "0.00000095367431640625"),
        (Fraction(1, 3), "0.333333333333333333"),
        (Fraction(2, 3), "0.666666666666666667"),
        (Fraction(-2, 3), "-0.666666666666666667"),
        (Fraction(5, 3) / 10**18, "0.000000000000000002"),
        (Fraction(10**36, 7), "142857142857142857142857142857142857.142857142857142857"),
        (Fraction(6, 3), "2"),
    ],
)
def test_values_leave_as_plain_decimals(value: Any, shown: str) -> None:
    """Exact where a finite decimal exists, else half-even to 18 digits; never an exponent or "-0"."""
    assert text.text(value) == shown


@pytest.mark.parametrize(
    "mode, precision, value, shown",
    [
        ("round", 0, Decimal("0.5"), "1"),
        ("round", 0, Decimal("-0.5"), "-1"),
        ("round", 0, Decimal("1.5"), "2"),
        ("round", 2, Fraction(2, 3), "0.67"),
        ("round", -2, 150, "200"),
        ("round", -2, 149, "100"),
        ("ceil", 0, Decimal("-0.5"), "0"),
        ("ceil", 1, Decimal("0.01"), "0.1"),
        ("floor", 0, Decimal("-0.5"), "-1"),
        ("floor", -1, -1, "-10"),
        ("ceil", 0, Fraction(1, 3) / 10**20, "0"),
        ("round", 25, Decimal("1E-30"), "0"),
        ("ceil", 30, 10**35, "1" + "0" * 35),
    ],
)
def test_rounding_is_the_last_step(mode: Any, precision: int, value: Any, shown: str) -> None:
    """Half away from zero, up or down, to digits after the point or, if negative, before it."""
    assert rounded(value, Rounding(mode, precision)) == shown
    assert rounded_decimal(value, Rounding(mode, precision)) == Decimal(shown)


def test_a_window_is_kept_until_its_retention_is_over() -> None:
    """Kept during [end, end + keep), and before; without an end or a retention, for ever."""
    assert kept(60, 5, 60_000_004)
    assert not kept(60, 5, 60_000_005)
    assert kept(60, None, 1 << 70)
    assert kept(None, 5, 1 << 70)


@pytest.mark.parametrize(
    "value", [0, -1, 2**63, -(2**63) - 1, 2**64, Decimal("0.10"), Decimal("1E+3"), Fraction(1, 3), None]
)
def test_numbers_survive_msgpack(value: Any) -> None:
    """Those beyond 64 bits, decimals and fractions as text."""
    assert unpacked(decode(encode(packed(value)))) == value


@pytest.mark.parametrize("value", [7, Decimal("0.5"), b"x", (b"g", 2**70), (b"g", (b"x", 1))])
def test_what_metrics_read_survives_msgpack(value: Any) -> None:
    """Upserted events are remembered by it."""
    assert value_of(decode(encode(plain_of(value)))) == value


def packs() -> Packs[int]:
    """Packs of a hundred seconds."""
    return Packs(b"w", 100, lambda cell: cell, lambda plain: plain)


def saved(one: Any) -> dict[bytes, bytes | None]:
    """What changed since the last time."""
    out: list[tuple[bytes, bytes | None]] = []
    one.save(out)
    return dict(out)


def test_only_packs_that_changed_are_saved() -> None:
    """And an emptied one is deleted."""
    one = packs()
    for start in (-50, 0, 99, 100):
        one.put(start, start)
    assert len(saved(one)) == 3
    assert saved(one) == {}
    one.drop(100)
    assert list(saved(one).values()) == [None]


def test_packs_are_restored_with_starts_before_1970() -> None:
    """Negative starts sort before others."""
    one, other = packs(), packs()
    for start in (100, -50, 0):
        one.put(start, start)
    other.load({name: data for name, data in saved(one).items() if data is not None})
    assert list(other.all()) == [(-50, -50), (0, 0), (100, 100)]
    assert other.last_before(100) == 0
    assert other.last_before(-50) is None
    assert list(other.between(0, 99)) == [(0, 0)]


def test_old_cells_are_popped_up_to_the_first_that_is_not() -> None:
    """One at a time, or whole packs only."""
    one = packs()
    for start in (0, 50, 100, 150):
        one.put(start, start)
    assert one.pop_while(lambda start: start < 50) == [(0, 0)]
    assert list(one.pop_packs(lambda start: start < 120)) == [(50, 50)]
    assert list(one.all()) == [(100, 100), (150, 150)]


def test_what_is_long_is_saved_in_parts_and_shrinks_again() -> None:
    """Each chunk stays below 64 KB, and parts that are no longer needed are deleted."""
    parts, out = Parts(), list[tuple[bytes, bytes | None]]()
    parts.put(b"x", b"a" * (2 * PART + 1), out)
    assert [len(data or b"") for _, data in out] == [PART, PART, 1]
    assert Parts().join({name: data or b"" for name, data in out}, b"x") == {b"x": b"a" * (2 * PART + 1)}
    out.clear()
    parts.put(b"x", b"b", out)
    assert [data for _, data in out] == [b"b", None, None]


@pytest.mark.parametrize("number", [1, 128, 129, 9000])
def test_a_table_grows_its_buckets_and_forgets(number: int) -> None:
    """Every key is found before and after a restart, and removing all of them leaves no chunk."""
    one, other = Table(b"l"), Table(b"l")
    for each in range(number):
        one.set(b"%d" % each, each)
    chunks = {name: data for name, data in saved(one).items() if data is not None}
    other.load(chunks)
    assert [other.get(b"%d" % each) for each in range(number)] == list(range(number))
    for each in range(number):
        other.set(b"%d" % each, None)
    gone = saved(other)
    assert {name for name, data in gone.items() if data is None} >= chunks.keys()
    assert other.get(b"0") is None


def test_a_growing_table_deletes_its_smaller_buckets() -> None:
    """The one bucket of a small table is not left behind."""
    one = Table(b"l")
    one.set(b"first", 1)
    [name] = saved(one)
    for each in range(200):
        one.set(b"%d" % each, each)
    assert saved(one)[name] is None
