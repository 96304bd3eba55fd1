"""Which events a metric counts."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schemas.definitions import All, AnyOf, Comparison, Filter, Metric, Not, Operation
from stream.core.decode import Properties, reach
from stream.core.filters import expression, filter_paths, metric_paths, passes
from stream.core.numbers import number

BIG = number("1e400")
IMMENSE = number("1e99999999999999999999")


def reader(properties: dict[str, Any]) -> Callable[[tuple[str, ...]], Any]:
    """What reads a path from an event's whole properties."""
    return lambda path: reach(properties, path)


def both(rule: Filter, properties: dict[str, Any]) -> bool:
    """Whether the properties pass, by the interpreter and by the compiled source, which must agree."""
    answer = passes(rule, reader(properties))
    assert compiled([rule])(properties) is answer
    return answer


def compiled(rules: list[Filter]) -> Callable[[dict[str, Any]], bool]:
    """The compiled filter of a whole `properties` object."""
    layout = Properties(path for rule in rules for path in filter_paths(rule))
    constants: dict[str, Any] = {}

    def bind(value: Any) -> str:
        name = f"c{len(constants)}"
        constants[name] = value
        return name

    source = expression(rules, layout, bind)
    made = eval(f"lambda p: bool({source})", constants)
    return lambda properties: bool(made(layout.fill(properties)))


@pytest.mark.parametrize(
    "op, wanted, passing, failing",
    [
        ("eq", "NA", ["NA"], ["na", "", 1, True, ["NA"], None]),
        ("eq", 1, [1, Decimal("1.0"), Decimal("1.00")], ["1", True, 2, [1], None]),
        ("eq", Decimal("0.5"), [Decimal("0.50")], ["0.5", 0, False, None]),
        ("eq", 0, [0, Decimal("-0.0")], [False, "", "0", None]),
        ("eq", True, [True], [1, Decimal(1), "true", False, None]),
        ("eq", False, [False], [0, "", None, True]),
        ("eq", 10**400, [BIG, 10**400], [IMMENSE, "1e400", 10**399]),
        ("eq", [1, "a"], [[1, "a"], [Decimal("1.0"), "a"]], [[True, "a"], [1], "a", None, {}]),
        ("eq", {"a": 1}, [{"a": 1}, {"a": Decimal("1.0")}], [{"a": True}, {"a": 1, "b": 2}, {}, None]),
        ("eq", [None], [[None]], [[], [0], [False], None]),
        ("eq", None, [], [None, 0, "", False]),
        ("ne", None, [None, 0, ""], []),
        ("ne", "NA", ["na", 1, None, ["NA"]], ["NA"]),
        ("ne", 1, ["1", True, 2, None], [1, Decimal("1.0")]),
        ("in", ("a", "b"), ["a", "b"], ["c", 1, ["a"], {"a": 1}, None, True]),
        ("in", (), [], ["a", None]),
        ("in", (1, "a", True), [1, Decimal("1.0"), "a", True], ["1", 2, False, None, [1]]),
        ("in", (1, 2), [1, 2, Decimal("2.0")], [True, "1", None]),
        ("not_in", ("a", "b"), ["c", 1, None, ["a"]], ["a", "b"]),
        ("not_in", (1, False), [True, 0, "1", None], [1, False]),
        (
            "gt",
            5,
            [6, "6", Decimal("5.1"), "5.0001", BIG, "1e400", IMMENSE],
            [5, "5", 4, "x", True, None, [9], "six", ""],
        ),
        ("gte", 5, [5, "5.0", Decimal("5.00"), 6], [4, Decimal("4.9"), "4", False, None]),
        ("lt", Decimal("0.5"), [0, -1, "0.4", Decimal("0.49"), "-1e400"], [Decimal("0.5"), 1, "0.5", False, None, BIG]),
        ("lte", Decimal("0.5"), ["5e-1", 0, Decimal("0.5")], [Decimal("0.51"), 1, None, True]),
        ("lt", BIG, [5, "1e399"], [BIG, IMMENSE, "1e400"]),
        ("exists", None, [0, "", False, [], {}], [None]),
        ("not_exists", None, [None], [0, "", False, [], {}]),
    ],
)
def test_what_each_operator_passes(op: str, wanted: Any, passing: list[Any], failing: list[Any]) -> None:
    """Each operator passes and fails these values; None stands for an absent property."""
    rule = Comparison("x", op, wanted)
    for value in passing:
        assert both(rule, {"x": value}), value
    for value in failing:
        assert not both(rule, {"x": value}), value
    absent = op in {"ne", "not_in", "not_exists"}
    assert both(rule, {}) is absent
    assert both(Comparison("a.b.x", op, wanted), {"a": {"b": 1}}) is absent


def test_filters_nest() -> None:
    """`all`, `any` and `not` combine what they hold; `not` is plain negation, also of an absent property."""
    rule = All((Comparison("a", "eq", 1), AnyOf((Comparison("b", "exists"), Not(Comparison("c", "gt", 3))))))
    assert both(rule, {"a": 1, "b": 0, "c": 9})
    assert both(rule, {"a": 1})
    assert not both(rule, {"a": 1, "c": 9})
    assert not both(rule, {"b": 1})
    assert both(Not(Comparison("c", "gt", 3)), {"c": "text"})


def test_empty_nests() -> None:
    """`all` of nothing passes, `any` of nothing does not."""
    assert both(All(()), {})
    assert not both(AnyOf(()), {})
    assert both(Not(AnyOf(())), {})


def test_a_dotted_property_reads_nested_objects() -> None:
    """`a.b` reads b inside the object a, never a property that is named with the dot."""
    rule = Comparison("a.b", "eq", 1)
    assert both(rule, {"a": {"b": Decimal("1.0")}})
    assert not both(rule, {"a.b": 1})
    assert not both(rule, {"a": [1], "b": 1})
    assert not both(rule, {"a": {"b": None}})


def test_names_and_values_never_become_source() -> None:
    """A definition that looks like code is data: no name or value of it stands in the generated source."""
    seen: list[Any] = []

    def bind(value: Any) -> str:
        seen.append(value)
        return f"c{len(seen)}"

    evil = "__import__('os').system('true')"
    layout = Properties([(evil,), ("a", evil)])
    rules = [
        Comparison(evil, "eq", evil),
        Comparison(evil, "in", (evil,)),
        Comparison(f"a.{evil.replace('.', '')}", "gt", 1),
    ]
    source = expression(rules, Properties(path for rule in rules for path in filter_paths(rule)), bind)
    assert "import" not in source
    assert evil in seen
    assert layout.get(layout.fill({evil: 1, "a": {evil: 2}}), ("a", evil)) == 2


def test_the_properties_that_a_metric_reads() -> None:
    """Filters at any depth, the property, the operation's and the groups', dotted ones as paths."""
    metric = Metric(
        key="m", name="m", event_name="e", type="gauge", windows=("day",), property="seat.id", group_by=("plan", "a.b"),
        filters=(Not(AnyOf((Comparison("x.y.z", "eq", 1), All((Comparison("q", "exists"),))))),),
        operation=Operation("op", "add", "remove"),
    )  # fmt: skip
    assert list(metric_paths(metric)) == [("x", "y", "z"), ("q",), ("seat", "id"), ("op",), ("plan",), ("a", "b")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["1", "a", "-2.0", "1e400", "x"])
    | st.sampled_from([Decimal("1.0"), Decimal("2.5"), Decimal("-0.0"), BIG, IMMENSE]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
NUMERIC = st.integers(-3, 3) | st.sampled_from([Decimal("1.0"), Decimal("2.5"), BIG])
PROPERTY = st.sampled_from(["a", "b", "a.b", "a.a", "b.a.b"])
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    st.builds(Comparison, PROPERTY, st.sampled_from(["eq", "ne"]), VALUES)
    | st.builds(Comparison, PROPERTY, st.sampled_from(["in", "not_in"]), st.lists(VALUES, max_size=3).map(tuple))
    | st.builds(Comparison, PROPERTY, st.sampled_from(["gt", "gte", "lt", "lte"]), NUMERIC)
    | st.builds(Comparison, PROPERTY, st.sampled_from(["exists", "not_exists"])),
    lambda inner: (
        st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(FILTERS, min_size=1, max_size=3),
    st.lists(st.dictionaries(st.sampled_from("ab"), VALUES), min_size=1, max_size=4),
)
def test_the_compiled_filter_agrees_with_the_interpreter(rules: list[Filter], events: list[dict[str, Any]]) -> None:
    """For any filters and properties the generated source answers as `passes` does."""
    quick = compiled(rules)
    for properties in events:
        assert quick(properties) == all(passes(rule, reader(properties)) for rule in rules)
