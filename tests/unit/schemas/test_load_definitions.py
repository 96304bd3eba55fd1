"""What a right definitions file says is what the program gets, to the digit."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.definitions import (
    All,
    AnyOf,
    Comparison,
    Customer,
    Definitions,
    EventRule,
    Limit,
    Metric,
    Not,
    Operation,
    Rounding,
    path_of,
)
from schemas.faults import Fault, Faults
from schemas.load import load, load_file

CONTRACT = """\
timezone: UTC                     # calendar of the windows; a customer may have its own
metrics:
  api_requests_na:
    name: API Requests (NA)
    description: Requests served from North America
    product: my-saas
    unit: requests
    event_name: api_request
    type: counter                 # counter | gauge | rate | the name of a plug-in
    aggregation: sum              # count sum avg min max unique latest weighted_sum
    property: value
    filters: [{property: region, op: eq, value: NA}]
    group_by: [model]             # one total for each group beside the overall one
    windows: [hour, month, total] # minute hour day week month quarter year billing_period total
    rounding: {mode: round, precision: 2}
events:
  invoice_line: {on_duplicate: upsert}      # drop (the default) | upsert
customers:
  acme: {aliases: [acct_42], timezone: America/New_York, billing_anchor: 2026-01-15}
limits:
  - {metric: api_requests_na, window: month, limit: 1000, mode: hard, warn_at: [0.8]}
  - {customer: acme, metric: api_requests_na, window: month, limit: 5000, warn_at: [0.8]}
  - {customer: acme, metric: api_requests_na, window: month, limit: 2000, group: {model: m1}, on_stale: allow,
     max_staleness: 5s}
"""
EXPECTED = Definitions(
    timezone="UTC",
    metrics={
        "api_requests_na": Metric(
            key="api_requests_na",
            name="API Requests (NA)",
            description="Requests served from North America",
            product="my-saas",
            unit="requests",
            event_name="api_request",
            type="counter",
            aggregation="sum",
            property="value",
            filters=(Comparison("region", "eq", "NA"),),
            group_by=("model",),
            windows=("hour", "month", "total"),
            rounding=Rounding("round", 2),
        )
    },
    events={"invoice_line": EventRule("upsert")},
    customers={"acme": Customer(("acct_42",), "America/New_York", date(2026, 1, 15))},
    limits=(
        Limit(metric="api_requests_na", window="month", limit=Decimal(1000), warn_at=(Decimal("0.8"),)),
        Limit(
            metric="api_requests_na", window="month", limit=Decimal(5000), customer="acme", warn_at=(Decimal("0.8"),)
        ),
        Limit(
            metric="api_requests_na",
            window="month",
            limit=Decimal(2000),
            customer="acme",
            group={"model": "m1"},
            on_stale="allow",
            max_staleness_us=5_000_000,
        ),
    ),
    aliases={"acct_42": "acme"},
)


def one(fields: str, key: str = "m") -> Metric:
    """A metric of a file whose only metric has these fields beside its event name."""
    return load(f"metrics:\n  {key}: {{event_name: e, {fields}}}\n").metrics[key]


def counted(filters: str) -> tuple[object, ...]:
    """The filters of a counter."""
    return one(f"type: counter, aggregation: count, filters: {filters}").filters


def test_the_file_of_the_contract_is_read_field_by_field() -> None:
    """Every field of the contract's example arrives under its name, resolved and exact."""
    assert load(CONTRACT) == EXPECTED


def test_the_same_as_json_is_the_same() -> None:
    """A file may be JSON; its numbers, windows and names mean what they mean in YAML."""
    text = json.dumps(
        {
            "metrics": {"a": {"event_name": "e", "type": "counter", "aggregation": "sum", "property": "n"}},
            "limits": [{"metric": "a", "window": "month", "limit": 10.25, "warn_at": [0.5, 0.1]}],
        }
    )
    definitions = load(text, "metrics.json")
    assert definitions.limits == (
        Limit(metric="a", window="month", limit=Decimal("10.25"), warn_at=(Decimal("0.1"), Decimal("0.5"))),
    )
    assert definitions == load(text, "metrics.yaml")


def test_json_with_tabs_is_read_under_a_yaml_name_too() -> None:
    """What begins with a brace is tried as JSON first, since YAML refuses tabs."""
    text = '{\n\t"metrics": {\n\t\t"a": {"event_name": "e", "type": "counter", "aggregation": "count"}}}'
    assert load(text).metrics["a"].event_name == "e"


def test_a_metric_without_windows_has_hour_day_month_and_total() -> None:
    """The default windows are the four that most people look at."""
    assert one("type: counter, aggregation: count").windows == ("hour", "day", "month", "total")


@pytest.mark.parametrize(
    "fields, windows",
    [
        ("type: rate, aggregation: count, granularity: minute", ("hour", "day", "month", "total")),
        ("type: rate, aggregation: count, granularity: hour", ("hour", "day", "month", "total")),
        ("type: rate, aggregation: count, granularity: day", ("day", "month", "total")),
        ("type: rate, aggregation: count, granularity: month", ("month", "total")),
        ("type: gauge, aggregation: max, property: n, event_type: delta", ("hour", "day", "month", "total")),
        ("type: gauge, aggregation: weighted_sum, property: n, event_type: total", ("hour", "day", "month")),
        (
            "type: gauge, aggregation: max, property: n, event_type: total, granularity: month, proration: day",
            ("hour", "day", "month"),
        ),
    ],
)
def test_the_default_windows_are_those_that_the_type_takes(fields: str, windows: tuple[str, ...]) -> None:
    """A type that cannot have one of the four default windows has the others."""
    assert one(fields).windows == windows


def test_windows_are_put_in_the_order_from_minute_to_total() -> None:
    """The order in which an author writes windows does not matter."""
    metric = one("type: counter, aggregation: count, windows: [total, billing_period, minute, week, year]")
    assert metric.windows == ("minute", "week", "year", "billing_period", "total")


def test_a_metric_is_called_by_its_key_unless_it_has_a_name() -> None:
    """`name` is the key unless it is written."""
    assert one("type: counter, aggregation: count", key="calls").name == "calls"
    assert one("type: counter, aggregation: count, name: Calls", key="calls").name == "Calls"


def test_a_count_reads_no_property() -> None:
    """An event without the property counts all the same, so the property that was written is dropped."""
    assert one("type: counter, aggregation: count, property: n").property is None


def test_a_gauge_of_objects_knows_how_they_come_and_go() -> None:
    """`operation` may compare any plain value, and `unique` needs no event type."""
    metric = one(
        "type: gauge, aggregation: unique, property: seat, operation: {property: op, add: true, remove: 0}, "
        "granularity: month, proration: day, windows: [month]"
    )
    assert metric.operation == Operation("op", True, 0)
    assert (metric.granularity, metric.proration, metric.event_type) == ("month", "day", None)


@pytest.mark.parametrize("proration, granularity", [("second", "minute"), ("day", "month"), ("quarter", "year")])
def test_proration_takes_every_unit_that_is_shorter_than_the_granularity(proration: str, granularity: str) -> None:
    """From second in minute to quarter in year; the window may be shorter than the granularity."""
    metric = one(
        "type: gauge, aggregation: max, property: n, event_type: total, windows: [minute], "
        f"granularity: {granularity}, proration: {proration}"
    )
    assert (metric.proration, metric.granularity) == (proration, granularity)


def test_numbers_keep_every_digit_that_was_written() -> None:
    """A number never passes through a binary float: 0.1 is 0.1, and 30 digits stay 30 digits."""
    assert counted(
        "[{property: n, op: eq, value: 0.10}, {property: n, op: gt, value: 123456789012345678901234567890}, "
        "{property: n, op: in, value: [1e3, 0.1234567890123456789012345678901, -0x1F]}]"
    ) == (
        Comparison("n", "eq", Decimal("0.10")),
        Comparison("n", "gt", 123456789012345678901234567890),
        Comparison("n", "in", (Decimal("1E+3"), Decimal("0.1234567890123456789012345678901"), "-0x1F")),
    )
    metric = one("type: gauge, aggregation: max, property: n, event_type: delta, initial_value: 0.1")
    assert metric.initial_value == Decimal("0.1")
    assert str(metric.initial_value) == "0.1"


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    """`on`, `no`, dates and 1_000 are texts, true and null are not, and quotes make a text of anything."""
    assert counted(
        "[{property: a, op: in, value: [on, no, Yes, 2026-01-01, 1_000, 010, 0o10, 0x10, true, 'true', '1', 12:30:00]}]"
    ) == (
        Comparison(
            "a",
            "in",
            ("on", "no", "Yes", "2026-01-01", "1_000", 10, 8, 16, True, "true", "1", "12:30:00"),
        ),
    )


def test_filters_nest_and_lotus_names_are_understood() -> None:
    """`all`, `any` and `not` hold other filters; `not` takes one, or a list that it takes as `all`."""
    assert counted(
        "[{any: [{property: a, op: isin, value: [1]}, {all: [{property: b.c, op: exists}]}]}, "
        "{not: {property: d, op: isnotin, value: [x]}}, {not: [{property: e, op: not_exists}]}]"
    ) == (
        AnyOf((Comparison("a", "in", (1,)), All((Comparison("b.c", "exists"),)))),
        Not(Comparison("d", "not_in", ("x",))),
        Not(All((Comparison("e", "not_exists"),))),
    )


def test_an_ordering_filter_reads_a_numeric_text_as_its_number() -> None:
    """`gt`, `gte`, `lt` and `lte` compare numbers, so "10.50" is 10.50; `eq` leaves it a text."""
    assert counted("[{property: n, op: lte, value: '10.50'}, {property: n, op: eq, value: '10.50'}]") == (
        Comparison("n", "lte", Decimal("10.50")),
        Comparison("n", "eq", "10.50"),
    )


def test_eq_may_compare_any_json_value() -> None:
    """Lists and objects are JSON values too, and keep their numbers exact."""
    assert counted("[{property: a, op: eq, value: [1, {b: 0.5, c: null}]}]") == (
        Comparison("a", "eq", [1, {"b": Decimal("0.5"), "c": None}]),
    )


def test_a_dotted_property_reads_nested_objects() -> None:
    """Each dot is one step inward."""
    assert path_of("user.plan.name") == ("user", "plan", "name")


def test_anchors_and_merge_keys_share_fields() -> None:
    """A metric may be written as another one with a few fields changed; its own fields win."""
    text = """\
metrics:
  a: &base {event_name: e, type: counter, aggregation: count, windows: &w [day, total]}
  b: {<<: *base, aggregation: sum, property: n}
  c: {<<: [{unit: x}, *base], windows: *w}
"""
    metrics = load(text).metrics
    assert [metrics[key].windows for key in "abc"] == [("day", "total")] * 3
    assert (metrics["b"].aggregation, metrics["b"].property, metrics["c"].unit) == ("sum", "n", "x")


def test_customers_are_named_by_text_or_by_digits() -> None:
    """An integer is read as its digits, as in events; sections left empty are as if absent."""
    text = """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
events:
customers:
  42: {aliases: [-7, x, '007']}
  no:
limits:
"""
    definitions = load(text)
    assert definitions.customers == {"42": Customer(("-7", "x", "007")), "no": Customer()}
    assert definitions.aliases == {"-7": "42", "x": "42", "007": "42"}
    assert (definitions.events, definitions.limits) == ({}, ())


def test_a_customer_has_the_files_zone_unless_it_has_its_own() -> None:
    """Zone, anchor and canonical id are looked up by whoever folds an event."""
    text = CONTRACT.replace("timezone: UTC ", "timezone: Asia/Kolkata ")
    definitions = load(text)
    assert definitions.timezone_of("acme") == "America/New_York"
    assert definitions.timezone_of("bolt") == "Asia/Kolkata"
    assert (definitions.anchor_day_of("acme"), definitions.anchor_day_of("bolt")) == (15, None)
    assert (definitions.canonical("acct_42"), definitions.canonical("bolt")) == ("acme", "bolt")
    assert definitions.upserts("invoice_line")
    assert not definitions.upserts("api_request")


def test_a_limit_says_what_it_did_not_write() -> None:
    """Hard limits deny when totals are stale, soft ones allow; ten seconds is stale; a share of 1 is the limit."""
    text = """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
  g: {event_name: e, type: gauge, aggregation: latest, property: n, event_type: total}
limits:
  - {metric: a, window: hour, limit: 10.50, warn_at: [1, 0.9, 0.50]}
  - {metric: g, limit: 0, mode: soft}
"""
    assert load(text).limits == (
        Limit(
            metric="a",
            window="hour",
            limit=Decimal("10.50"),
            mode="hard",
            warn_at=(Decimal("0.5"), Decimal("0.9")),
            on_stale="deny",
            max_staleness_us=10_000_000,
        ),
        Limit(metric="g", window=None, limit=Decimal(0), mode="soft", on_stale="allow"),
    )
    assert str(load(text).limits[0].limit) == "10.50"


def test_the_greatest_limit_that_redis_scripts_can_hold_is_accepted() -> None:
    """9007199254740991 is the last whole number that a double holds beside its neighbours."""
    text = """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
limits:
  - {metric: a, window: hour, limit: 90071992547409.91}
  - {metric: a, window: day, limit: 9007199254740991e-2}
"""
    assert [str(limit.limit) for limit in load(text).limits] == ["90071992547409.91", "90071992547409.91"]


def test_lateness_is_kept_in_microseconds() -> None:
    """35d is 3,024,000 seconds."""
    assert one("type: counter, aggregation: count, lateness: 35d").lateness_us == 3_024_000_000_000


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Files of some editors begin with one."""
    file = tmp_path / "metrics.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + CONTRACT.encode())
    assert load_file(file) == EXPECTED
    assert load("\ufeff" + CONTRACT) == EXPECTED


def test_a_file_that_is_not_utf_8_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """Latin-1 is told at the line of its first letter."""
    file = tmp_path / "metrics.yaml"
    file.write_bytes(b"metrics:\n  # Stra\xdfe\n")
    with pytest.raises(Faults) as found:
        load_file(file)
    assert found.value.faults == [Fault("", 2, "is not UTF-8: save the file as UTF-8")]


def test_aliases_that_multiply_are_stopped() -> None:
    """Nine lines that would become 10^9 values are refused before they fill the memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(Faults) as found:
        load("\n".join(lines))
    assert found.value.faults == [Fault("", 7, "holds more than 5000000 values, its aliases written out")]


@pytest.mark.parametrize("filename", ["metrics.yaml", "metrics.json"])
def test_a_file_nested_without_end_is_stopped(filename: str) -> None:
    """A thousand brackets are a fault and no stack overflow."""
    with pytest.raises(Faults) as found:
        load("[" * 1000, filename)
    assert found.value.faults == [Fault("", 1, "is nested deeper than 64 levels")]


@pytest.mark.parametrize("filename", ["metrics.yaml", "metrics.json"])
def test_sixty_four_levels_are_deep_enough(filename: str) -> None:
    """What stands 64 levels deep is read, one level more is refused."""
    head, tail = '{"metrics": {"a": {"event_name": "e", "type": "counter", "aggregation": "count", "filters": [', "]}}}"
    right, deeper = (
        head + '{"property": "p", "op": "eq", "value": ' + "[" * depth + "1" + "]" * depth + "}" + tail
        for depth in (59, 60)  # the value stands five levels under the file
    )
    assert load(right, filename).metrics["a"].filters
    with pytest.raises(Faults) as found:
        load(deeper, filename)
    assert found.value.faults == [Fault("", 1, "is nested deeper than 64 levels")]


def test_numbers_are_taken_up_to_their_bounds() -> None:
    """400 digits are written out, a share may have six digits after the point and a limit fifteen."""
    filters = counted("[{property: n, op: eq, value: 1e399}, {property: n, op: lt, value: 1e-400}]")
    assert filters == (
        Comparison("n", "eq", Decimal("1e399")),
        Comparison("n", "lt", Decimal("1e-400")),
    )
    definitions = load(
        "metrics:\n  a: {event_name: e, type: counter, aggregation: count}\nlimits:\n"
        "  - {metric: a, window: hour, limit: 0.000000000000001, warn_at: [0.000001]}\n"
    )
    assert definitions.limits[0].limit == Decimal("1e-15")
    assert definitions.limits[0].warn_at == (Decimal("0.000001"),)


def test_ids_may_hold_any_letter_that_an_events_id_may() -> None:
    """Spaces, blanks beyond ASCII and letters of four bytes are no control characters."""
    definitions = load(
        "metrics:\n  a: {event_name: e, type: counter, aggregation: count}\n"
        "customers:\n  ' ': {}\n  \"a\\xa0b\": {}\n  '\U0001f600': {aliases: ['a b']}\n"
    )
    assert list(definitions.customers) == [" ", "a\xa0b", "\U0001f600"]


def test_a_description_may_have_several_lines_and_a_name_one() -> None:
    """Line feeds and tabs belong into a description; elsewhere they are control characters."""
    text = """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    description: |
      Calls,\twithout health checks.

      Counted once.
    name: "two\\nlines"
    unit: "a\\rb"
"""
    with pytest.raises(Faults) as found:
        load(text)
    assert found.value.faults == [
        Fault("metrics.a.name", 10, "holds a control character: leave it out"),
        Fault("metrics.a.unit", 11, "holds a control character: leave it out"),
    ]
    right = text.replace("\\n", " ").replace("\\r", " ")
    assert load(right).metrics["a"].description == "Calls,\twithout health checks.\n\nCounted once.\n"
    with pytest.raises(Faults) as found:
        load(right.replace("description: |", 'description: "a\\x9Fb"\n    product: |'))
    assert [fault.path for fault in found.value.faults] == ["metrics.a.description", "metrics.a.product"]


@pytest.mark.parametrize(
    "noun, field",
    [
        (EXPECTED, "timezone"),
        (EXPECTED.metrics["api_requests_na"], "windows"),
        (EXPECTED.metrics["api_requests_na"].filters[0], "value"),
        (EXPECTED.metrics["api_requests_na"].rounding, "precision"),
        (EXPECTED.limits[0], "limit"),
        (EXPECTED.customers["acme"], "timezone"),
        (EXPECTED.events["invoice_line"], "on_duplicate"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_definitions_cannot_be_changed(noun: object, field: str) -> None:
    """State is made from them and kept for as long as they hold; a change would part the two."""
    with pytest.raises(AttributeError):
        setattr(noun, field, "changed")


def test_the_documented_example_is_right() -> None:
    """The file that people copy from has no fault and shows every type."""
    definitions = load_file(Path(__file__).parents[3] / "examples" / "metrics.yaml")
    assert {metric.type for metric in definitions.metrics.values()} == {"counter", "gauge", "rate"}
    assert (len(definitions.metrics), len(definitions.limits)) == (9, 7)
