"""Exact numbers, of any size, as producers write them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from stream.core.numbers import BadValue, Immense, Unreadable, exact, number, number_text, order, plain, read

FAR = "9" * 19
DIGITS = st.text("0123456789", min_size=1, max_size=45)
NUMBERS = st.builds(
    lambda sign, whole, fraction, power: f"{sign}{whole.lstrip('0') or '0'}{'.' + fraction if fraction else ''}{power}",
    st.sampled_from(["", "-"]),
    DIGITS,
    st.just("") | DIGITS,
    st.just("")
    | st.integers(-80, 80).map("e{}".format)
    | st.sampled_from(["E+5", "e400", "E-400", f"e{FAR}", f"e-{FAR}"]),
)


@pytest.mark.parametrize(
    "text, value, kind",
    [
        ("0", 0, int),
        ("-0", 0, int),
        ("12345678901234567890123456789012345678901", 12345678901234567890123456789012345678901, int),
        ("0.1", Decimal("0.1"), Decimal),
        ("1.0", 1, Decimal),
        ("1e2", 100, Decimal),
        ("0e99", 0, Decimal),
        ("1e35", 10**35, Decimal),
        ("1e36", 10**36, Unreadable),
        ("1e400", 10**400, Unreadable),
        ("1e-30", Decimal("1e-30"), Decimal),
        ("1e-31", Decimal("1e-31"), Unreadable),
        ("0." + "1" * 31, Decimal("0." + "1" * 31), Unreadable),
        ("9" * 36 + "." + "9" * 30, Decimal("9" * 36 + "." + "9" * 30), Decimal),
        ("1e999999999999999", Decimal("1e999999999999999"), Unreadable),
    ],
)
def test_a_number_is_held_by_what_a_metric_may_do_with_it(text: str, value: int | Decimal, kind: type) -> None:
    """Integers are ints, readable decimals plain Decimals, all else is a class of its own with its exact value."""
    found = number(text)
    assert found == value
    assert found.__class__ is kind


@pytest.mark.parametrize(
    "value, expected",
    [
        (3, 3),
        (10**36 - 1, 10**36 - 1),
        (Decimal("0.10"), Decimal("0.10")),
        ("3", 3),
        ("-0.5", Decimal("-0.5")),
        ("1E3", Decimal("1E3")),
        ("9" * 36, int("9" * 36)),
        ("-" + "9" * 36 + "." + "9" * 30, Decimal("-" + "9" * 36 + "." + "9" * 30)),
        ("0.000000000000000000000000000001", Decimal("1e-30")),
        ("0e500", 0),
    ],
)
def test_a_metric_reads_numbers_and_numeric_strings(value: Any, expected: int | Decimal) -> None:
    """What a metric reads is the exact number, with the digits that were written."""
    found = read(value)
    assert found == expected
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    "value, says",
    [
        ("abc", "'abc' is text, not a number"),
        ("", "'' is text"),
        (" 1", "is text"),
        ("1 ", "is text"),
        ("+1", "is text"),
        ("01", "is text"),
        (".5", "is text"),
        ("1.", "is text"),
        ("0x10", "is text"),
        ("NaN", "is text"),
        ("1_000", "is text"),
        ("\u0661", "is text"),
        ("1\n", "is text"),
        (True, "a truth value"),
        (False, "a truth value"),
        ([1], "a list"),
        ({"a": 1}, "an object"),
        (10**36, "10^36 or more"),
        (-(10**36), "10^36 or more"),
        pytest.param(10**4200, "10^36 or more", id="10^4200"),
        ("1" + "0" * 36, "10^36 or more"),
        ("1" * 100_000, "10^36 or more"),
        ("-1e36", "10^36 or more"),
        (f"1e{FAR}", "10^36 or more"),
        (f"-1e-{FAR}", "more than 30 digits"),
        ("1e-31", "more than 30 digits"),
        ("1." + "0" * 31, "more than 30 digits"),
        ("0e-31", "more than 30 digits"),
        ("100e-31", "more than 30 digits"),
        ("0." + "7" * 100_000, "more than 30 digits"),
    ],
)
def test_what_a_metric_cannot_read_is_a_bad_value(value: Any, says: str) -> None:
    """Text, truth values, lists, objects and numbers out of range raise BadValue with one short line that says why."""
    with pytest.raises(BadValue) as caught:
        read(value)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 120


@given(NUMBERS)
def test_the_fast_reader_agrees_with_the_complete_one(text: str) -> None:
    """Where `exact` takes a number it is the one that `number` makes, with the same digits."""
    try:
        quick = exact(text)
    except ArithmeticError:
        return
    found = number(text)
    assert quick == found
    assert quick.__class__ is Decimal
    if isinstance(found, Decimal) and found:
        assert found.__class__ is Decimal
        assert quick.as_tuple() == found.as_tuple()


@given(st.lists(NUMBERS, min_size=2, max_size=2))
def test_numbers_of_any_size_are_ordered_by_value(texts: list[str]) -> None:
    """Of two numbers exactly one is less, or they are equal and hash alike; far exponents stand beyond or below all."""

    def rank(text: str) -> tuple[int, Decimal]:
        """Sign times how far out, then the value, of texts whose exponent is far or of a sensible size."""
        coefficient, _, power = text.lower().partition("e")
        value = Decimal(coefficient)
        sign = (value > 0) - (value < 0)
        if power.lstrip("-") == FAR and sign:
            return (2 * sign, value * 0) if not power.startswith("-") else (0, Decimal(sign) * Decimal("1e-5000"))
        return (sign * 0, Decimal(text) if power.lstrip("-") != FAR else Decimal(0))

    left, right = number(texts[0]), number(texts[1])
    assert (left < right) + (left > right) + (left == right) == 1
    assert (left <= right) == (not left > right)
    ranks = rank(texts[0]), rank(texts[1])
    if ranks[0] != ranks[1]:
        assert (left < right) == (ranks[0] < ranks[1])
    if left == right:
        assert hash(left) == hash(right)


def test_numbers_beyond_decimal_are_equal_by_value() -> None:
    """Different spellings of one immense number are equal, and its neighbours are not."""
    assert number(f"1e{FAR}") == number(f"10.0e{'9' * 18}8") == number(f"0.1e1{'0' * 19}")
    assert hash(number(f"1e{FAR}")) == hash(number(f"10.0e{'9' * 18}8"))
    assert number(f"1e{FAR}") != number(f"2e{FAR}")
    assert number(f"-1e{FAR}") < number("-1e5000") < 0 < number(f"1e-{FAR}") < number("1e-5000")
    assert number(f"2e{FAR}") > number(f"1e{FAR}") > number("1e5000")
    assert number(f"-2e{FAR}") < number(f"-1e{FAR}") < number(f"1e{FAR}") < number(f"1e1{FAR}")
    assert number(f"-2e-{FAR}") < number(f"-1e-{FAR}") < number(f"-1e-1{FAR}") < 0
    assert number(f"0e{FAR}") == 0
    assert str(number(f"-12.50e{FAR}")) == f"-1.25e1{'0' * 19}"
    assert isinstance(number("1e" + "9" * 100_000), Immense)


@pytest.mark.parametrize(
    "value, expected",
    [
        (1, 1),
        ("1.5", Decimal("1.5")),
        ("10e-1", 1),
        ("1e400", 10**400),
        (Decimal("2.0"), 2),
        (True, None),
        (None, None),
        ("x", None),
        ("", None),
        ([1], None),
    ],
)
def test_filters_order_numbers_and_numeric_strings_alone(value: Any, expected: Any) -> None:
    """`order` gives the number to compare by, without limit of size, and None for everything else."""
    assert order(value) == expected


@pytest.mark.parametrize(
    "value, shown",
    [
        (0, "0"),
        (-12, "-12"),
        (Decimal("1.0"), "1"),
        (Decimal("-0.0"), "0"),
        (Decimal("1.50"), "1.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("120E+1"), "1200"),
        (Decimal("-0.00150"), "-0.0015"),
        (Decimal("12.345"), "12.345"),
        (Decimal("1E+255"), "1" + "0" * 255),
        (Decimal("1E+256"), None),
        (Decimal("-1E+255"), None),
        (Decimal("1E-254"), "0." + "0" * 253 + "1"),
        (Decimal("1E-255"), None),
        (Decimal("-1E-254"), None),
        (Decimal("1E+999999999"), None),
        (Decimal("1E-999999999"), None),
        pytest.param(10**255, "1" + "0" * 255, id="10^255"),
        pytest.param(10**256, None, id="10^256"),
        pytest.param(-(10**255), None, id="-10^255"),
    ],
)
def test_a_number_is_shown_in_its_shortest_plain_form(value: int | Decimal, shown: str | None) -> None:
    """Without exponent, without zeros that say nothing, never -0; None where that has more than 256 characters."""
    assert plain(value, 256) == shown


@given(NUMBERS)
def test_the_plain_form_is_the_same_number(text: str) -> None:
    """Reading the plain form gives the number back, and equal numbers have one plain form."""
    found = number(text)
    shown = plain(found, 256)
    if shown is None:
        return
    assert number_text(shown)
    assert number(shown) == found
    assert "e" not in shown
    assert shown == plain(number(shown))
