"""A row of totals as people and programs see it: its JSON, its order, its exact texts."""

from decimal import Decimal

import pytest

from schemas.totals import Billable, Position, Total, encode, group_text, instant, instant_us, plain


def total(**fields: object) -> Total:
    """The contract's row, with some fields changed."""
    row = {
        "customer": "acme",
        "metric": "api_requests_na",
        "window": "hour",
        "start": 1_772_712_000,
        "end": 1_772_715_600,
        "group": {},
        "value": "3",
        "events": 1,
    }
    return Total(**{**row, **fields})  # type: ignore[arg-type]


def test_a_row_is_the_contracts_json() -> None:
    """Field by field and in this order, as `tally simulate` prints it."""
    assert encode(total().to_json()) == (
        b'{"customer":"acme","metric":"api_requests_na","window":"hour","start":"2026-03-05T12:00:00Z",'
        b'"end":"2026-03-05T13:00:00Z","group":{},"value":"3","events":1}'
    )


def test_all_history_has_neither_start_nor_end() -> None:
    """They are null."""
    row = total(window="total", start=None, end=None).to_json()
    assert (row["start"], row["end"]) == (None, None)


def test_a_row_of_a_running_system_says_as_of_when_and_where() -> None:
    """`as_of` and `position` come last, `billable` before them where it was asked for."""
    row = total(
        billable=(Billable("2026-03-05", "3"),), as_of_us=1_772_712_000_250_000, position=Position(3, 4711)
    ).to_json()
    assert encode(row).endswith(
        b',"events":1,"billable":[{"day":"2026-03-05","value":"3"}],"as_of":"2026-03-05T12:00:00.250000Z",'
        b'"position":{"partition":3,"offset":4711}}'
    )


def test_a_groups_values_keep_their_kind_and_every_digit() -> None:
    """Numbers are numbers in their shortest plain form, keys are sorted, letters are not escaped."""
    group: dict[str, str | bool | int | Decimal] = {
        "z": Decimal("1.50"),
        "é": "ü",
        "a": True,
        "n": 12345678901234567890123,
    }
    text = '{"a":true,"n":12345678901234567890123,"z":1.5,"é":"ü"}'
    assert group_text(group) == text
    assert text.encode() in encode(total(group=group).to_json())


def test_rows_sort_by_customer_metric_group_window_and_start() -> None:
    """Texts go by their bytes in UTF-8, the overall total before its groups, minute before total."""
    rows = [
        total(customer="Zed"),
        total(customer="a", metric="B"),
        total(customer="a", metric="a", group={}, window="minute", start=60),
        total(customer="a", metric="a", group={}, window="hour", start=0),
        total(customer="a", metric="a", group={}, window="hour", start=3600),
        total(customer="a", metric="a", group={}, window="total", start=None),
        total(customer="a", metric="a", group={"m": "10"}, window="minute"),
        total(customer="a", metric="a", group={"m": "9"}, window="minute"),
        total(customer="a", metric="a", group={"m": 10}, window="minute"),
        total(customer="a", metric="a", group={"m": 9}, window="minute"),
        total(customer="a", metric="a", group={"m": True}, window="minute"),
        total(customer="é"),
        total(customer="\uffff"),
        total(customer="\U00010000"),
    ]
    backwards = rows[::-1]
    assert sorted(backwards, key=Total.order) == rows


@pytest.mark.parametrize(
    "number, text",
    [
        (7, "7"),
        (-7, "-7"),
        (Decimal("1.500"), "1.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal(100), "100"),
        (Decimal("-0.0"), "0"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0E+3"), "0"),
    ],
)
def test_the_shortest_plain_form_of_a_number(number: int | Decimal, text: str) -> None:
    """No exponent, no zeros that say nothing, no minus before nothing."""
    assert plain(number) == text


def test_instants_are_rfc_3339_in_utc_from_year_1_to_9999() -> None:
    """Whole seconds have no fraction, microseconds have six digits, and the year four."""
    assert instant(-62_135_596_800) == "0001-01-01T00:00:00Z"
    assert instant(253_402_300_799) == "9999-12-31T23:59:59Z"
    assert instant_us(1) == "1970-01-01T00:00:00.000001Z"
    assert instant_us(-1) == "1969-12-31T23:59:59.999999Z"
