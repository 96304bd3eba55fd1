"""Which events a metric counts: the filters of its definition.

`passes` is the specification; `expression` gives the same answer as Python source for the compiled fold. An event
that lacks the property passes only `ne`, `not_in` and `not_exists`. `eq`, `ne`, `in` and `not_in` compare JSON values,
numbers by value: 1 is 1.0, "1" is another, and true a third. `gt`, `gte`, `lt` and `lte` hold between numbers alone,
and read a numeric string as its number.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from schemas.definitions import All, AnyOf, Comparison, Filter, Metric, Not
from stream.core.decode import Path, Properties
from stream.core.numbers import order

Read = Callable[[Path], Any]
Bind = Callable[[Any], str]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def path_of(name: str) -> Path:
    """A dotted property's names, outermost first: `a.b` reads b inside the object a."""
    return tuple(name.split("."))


def filter_paths(one: Filter) -> Iterator[Path]:
    """The properties that a filter reads."""
    match one:
        case All() | AnyOf():
            for inner in one.filters:
                yield from filter_paths(inner)
        case Not():
            yield from filter_paths(one.filter)
        case Comparison():
            yield path_of(one.property)


def metric_paths(metric: Metric) -> Iterator[Path]:
    """The properties that a metric of a built-in type reads; a plug-in may read more."""
    for one in metric.filters:
        yield from filter_paths(one)
    if metric.property is not None:
        yield path_of(metric.property)
    if metric.operation is not None:
        yield path_of(metric.operation.property)
    yield from map(path_of, metric.group_by)


def passes(one: Filter, read: Read) -> bool:
    """Whether an event passes; `read` gives the property at a path, None where it is absent or null."""
    match one:
        case All():
            return all(passes(inner, read) for inner in one.filters)
        case AnyOf():
            return any(passes(inner, read) for inner in one.filters)
        case Not():
            return not passes(one.filter, read)
        case Comparison():
            return holds(one.op, read(path_of(one.property)), one.value)


def holds(op: str, value: Any, wanted: Any) -> bool:
    """Whether a property's value (None: absent) stands in the relation `op` to the one in the definition."""
    match op:
        case "exists":
            return value is not None
        case "not_exists":
            return value is None
        case "eq":
            return same(value, wanted)
        case "ne":
            return not same(value, wanted)
        case "in":
            return one_of(value, wanted)
        case "not_in":
            return not one_of(value, wanted)
    return ordered(value, op, wanted)


def same(value: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal, numbers by value and truth values apart from 1 and 0; an absent one is none."""
    return value is not None and _equal(value, wanted)


def _equal(value: Any, wanted: Any) -> bool:
    """Equality of JSON values, null included: inside lists and objects it is a value like others."""
    if value.__class__ is bool or wanted.__class__ is bool:
        return value is wanted
    if isinstance(value, list | tuple):
        if not isinstance(wanted, list | tuple) or len(value) != len(wanted):
            return False
        return all(map(_equal, value, wanted))
    if isinstance(value, dict):
        if not isinstance(wanted, dict) or value.keys() != wanted.keys():
            return False
        return all(_equal(inner, wanted[name]) for name, inner in value.items())
    return bool(value == wanted)


def one_of(value: Any, wanted: Iterable[Any]) -> bool:
    """Whether a value is the same as one of several."""
    return any(same(value, each) for each in wanted)


def ordered(value: Any, op: str, wanted: Any) -> bool:
    """Whether two values are numbers, or numeric strings, and stand in this order."""
    left, right = order(value), order(wanted)
    return left is not None and right is not None and _ORDERED[op](left, right)


def expression(filters: Iterable[Filter], layout: Properties, bind: Bind, variable: str = "p") -> str:
    """Python source that is true for events that pass all the filters; "" where there is none.

    `variable` is the name of the event's properties in that source. Every name and value of the definition goes
    through `bind`, which gives back the name of a constant. The source assigns to the local name `_x`.
    """
    return " and ".join(_source(one, layout, bind, variable) for one in filters)


def _source(one: Filter, layout: Properties, bind: Bind, variable: str) -> str:
    match one:
        case All() | AnyOf():
            joined = (" and " if isinstance(one, All) else " or ").join(
                _source(inner, layout, bind, variable) for inner in one.filters
            )
            return f"({joined})" if joined else repr(isinstance(one, All))
        case Not():
            return f"(not {_source(one.filter, layout, bind, variable)})"
        case Comparison():
            value = layout.expression(path_of(one.property), bind, variable)
            return _comparison(one, value, bind)


def _comparison(one: Comparison, value: str, bind: Bind) -> str:
    op, wanted = one.op, one.value
    if op in {"ne", "not_in"}:
        opposite = Comparison(one.property, "eq" if op == "ne" else "in", wanted)
        return f"(not {_comparison(opposite, value, bind)})"
    if op == "exists":
        return f"({value} is not None)"
    if op == "not_exists":
        return f"({value} is None)"
    if op == "eq":
        return _equality(value, wanted, bind)
    if op == "in":
        if all(isinstance(each, str) for each in wanted):
            return f"((_x := {value}).__class__ is str and _x in {bind(frozenset(wanted))})"
        return f"{bind(one_of)}({value}, {bind(tuple(wanted))})"
    right = order(wanted)
    quick = f"_x {_SIGNS[op]} {bind(right)} if (_x := {value}).__class__ is int"
    return f"({quick} else {bind(ordered)}(_x, {bind(op)}, {bind(right)}))"


def _equality(value: str, wanted: Any, bind: Bind) -> str:
    if wanted is None:
        return "False"
    if isinstance(wanted, bool):
        return f"({value} is {bind(wanted)})"
    if isinstance(wanted, str):
        return f"({value} == {bind(wanted)})"
    if isinstance(wanted, int | Decimal):
        return f"((_x := {value}) == {bind(wanted)} and _x.__class__ is not bool)"
    return f"{bind(same)}({value}, {bind(wanted)})"
