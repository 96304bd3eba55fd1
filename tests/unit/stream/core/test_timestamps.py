"""Instants as producers write them."""

from decimal import Decimal

import pytest

from stream.core.timestamps import BadTimestamp, microseconds, show, show_us

NOON = 1_772_712_000_000_000


@pytest.mark.parametrize(
    "stamp, us",
    [
        ("2026-03-05T12:00:00Z", NOON),
        ("2026-03-05t12:00:00z", NOON),
        ("2026-03-05T12:00:00.250Z", NOON + 250_000),
        ("2026-03-05T12:00:00.2Z", NOON + 200_000),
        ("2026-03-05T17:30:00+05:30", NOON),
        ("2026-03-05T07:00:00.5-05:00", NOON + 500_000),
        ("2026-03-05T12:00:00-00:00", NOON),
        ("2026-03-05T12:00:00.1234569Z", NOON + 123_456),
        ("2026-03-05T12:00:00." + "9" * 400 + "Z", NOON + 999_999),
        ("2026-03-06T11:59:00+23:59", NOON),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        (0, 0),
        (-1, -1_000_000),
        (1772712000, NOON),
        (1772712000250, NOON + 250_000),
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (Decimal("1772712000.25"), NOON + 250_000),
        (Decimal("1772712000250.0019"), NOON + 250_001),
        (Decimal("1.7727120E9"), NOON),
        (Decimal("1.9999999"), 1_999_999),
        (Decimal("-0.0000001"), -1),
        (Decimal("-1.0000019"), -1_000_002),
        (Decimal("-0.0"), 0),
        (Decimal("1E-400"), 0),
        (Decimal("-1E-400000000"), -1),
        (Decimal("99999999999.9999999"), 99_999_999_999_999_999),
        (Decimal("0." + "1" * 5000), 111_111),
        (Decimal("100000000000.5"), 100_000_000_000_500),
        (Decimal("1E+11"), 100_000_000_000_000),
        ("1772712000", NOON),
        ("1772712000.250", NOON + 250_000),
        ("1772712000250", NOON + 250_000),
        ("-1.5e0", -1_500_000),
        ("-0", 0),
        ("1e-" + "9" * 10_000, 0),
        ("-1e-" + "9" * 10_000, -1),
    ],
)
def test_a_timestamp_is_read_to_the_microsecond(stamp: str | int | Decimal, us: int) -> None:
    """RFC 3339, seconds and milliseconds give the instant, finer digits cut toward the past."""
    assert microseconds(stamp) == us


@pytest.mark.parametrize(
    "stamp, says",
    [
        ("2026-03-05 12:00:00Z", "needs a T"),
        ("2026-03-05_12:00:00Z", "needs a T"),
        ("2026-03-05T12:00:00", "no offset"),
        ("2026-03-05T12:00:60Z", "leap second"),
        ("2016-12-31T23:59:60Z", "leap second"),
        ("2026-03-05T24:00:00Z", "exists"),
        ("2026-02-29T12:00:00Z", "exists"),
        ("2026-03-05T12:60:00Z", "exists"),
        ("2026-03-05T12:00:00+24:00", "exists"),
        ("2026-03-05T12:00:00+05:60", "exists"),
        ("2026-03-05T12:00:00.5+05:99", "exists"),
        ("0000-12-31T23:59:59Z", "exists"),
        ("2026-03-05T12:00Z", "neither"),
        ("2026-03-05T12:00:00,5Z", "neither"),
        ("2026-03-05T12:00:00.Z", "neither"),
        ("2026-03-05T12:00:00.+01:00", "neither"),
        ("2026-03-05T12:00:00+0530", "neither"),
        ("2026-03-05T12:00:00+05", "neither"),
        ("2026-03-05T12:00:00+05:30:00", "neither"),
        ("20260305T120000Z", "neither"),
        ("2026-W10-4T12:00:00Z", "neither"),
        ("2026-03-05", "neither"),
        (" 2026-03-05T12:00:00Z", "neither"),
        ("2026-03-05T12:00:00Z\n", "neither"),
        ("\u0662026-03-05T12:00:00Z", "neither"),
        ("", "neither"),
        ("now", "neither"),
        (" 1772712000", "neither"),
        ("+1772712000", "neither"),
        ("01772712000", "neither"),
        ("\u0661\u0662", "neither"),
        ("NaN", "neither"),
        ("0001-01-01T00:00:00+00:01", "years 1 to 9999"),
        ("9999-12-31T23:59:59-00:01", "years 1 to 9999"),
        (253_402_300_800_000, "years 1 to 9999"),
        (-62_135_596_801, "years 1 to 9999"),
        (-100_000_000_000, "years 1 to 9999"),
        pytest.param(10**5000, "years 1 to 9999", id="huge"),
        (Decimal("1E+400000000"), "years 1 to 9999"),
        (Decimal("-1E+400000000"), "years 1 to 9999"),
        (Decimal("-62135596800.0000001"), "years 1 to 9999"),
        ("1" * 10_000, "years 1 to 9999"),
        ("1e" + "9" * 100, "years 1 to 9999"),
        ("-1e" + "9" * 10_000, "years 1 to 9999"),
        (Decimal("NaN"), "no number"),
        (Decimal("Infinity"), "no number"),
    ],
)
def test_what_is_no_timestamp_is_refused_with_a_short_sentence(stamp: str | int | Decimal, says: str) -> None:
    """Every wrong timestamp raises BadTimestamp, whose one line says what is wrong."""
    with pytest.raises(BadTimestamp) as caught:
        microseconds(stamp)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 240
    assert "\n" not in str(caught.value)


def test_instants_are_shown_in_utc() -> None:
    """Seconds and microseconds are shown as RFC 3339, also just outside the years of datetime."""
    assert show(0) == "1970-01-01T00:00:00Z"
    assert show(253_402_300_800) == "10000-01-01T00:00:00Z"
    assert show(-62_135_596_801) == "0000-12-31T23:59:59Z"
    assert show_us(NOON + 1) == "2026-03-05T12:00:00.000001Z"
    assert show_us(-1) == "1969-12-31T23:59:59.999999Z"
    assert show_us(NOON) == "2026-03-05T12:00:00Z"
