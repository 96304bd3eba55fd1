"""A definition of the general path at work: its metric, and what is compiled of its filters and groups."""

from collections.abc import Callable
from typing import Any

from schemas.definitions import KINDS, Metric as Definition
from stream.core import groups, wire
from stream.core.codegen import Source
from stream.core.decode import Properties
from stream.core.metrics.base import Metric
from stream.core.numbers import LIMIT


class Built:
    """A definition at work.

    `value(p)` is what the metric makes of an event's properties, None where it does not count; it raises as
    `Metric.read` does. `group(p)` is the key of its group, None where it has none; itself None without `group_by`.
    `scale` makes a value's text the whole number that the gate compares, None where no limit stands on the metric.
    `keeps[kind]` is how long a window is kept after its end, in microseconds.
    """

    def __init__(
        self,
        definition: Definition,
        metric: Metric,
        properties: Properties,
        scale: Callable[[str], str] | None,
        keeps: tuple[int | None, ...],
    ) -> None:
        self.definition, self.metric, self.scale, self.keeps = definition, metric, scale, keeps
        self.key = definition.key
        source = Source(properties, group_key=groups.group_key, LEAST=-LIMIT, MOST=LIMIT)
        write_value(source, self, 0)
        source.lines[:0] = ["def value(p):"]
        source.lines += ["    return v0", ""]
        values = "".join(f"{source.value(prop)}, " for prop in definition.group_by)
        source.lines += ["def group(p):", f"    return group_key(({values}))" if values else "    return None"]
        made = source.run("a metric's filters and groups")
        self.value: Callable[[Any], Any | None] = made["value"]
        self.group: Callable[[Any], Any] | None = made["group"] if values else None
        self.head = wire.encode([definition.key, metric.shape])
        self.kinds = tuple(KINDS.index(kind) for kind in definition.windows)


def write_value(source: Source, built: Built, n: int) -> None:
    """Lines that set `v<n>` to what a metric makes of the properties `p`."""
    definition, metric = built.definition, built.metric
    test, read = source.test(definition.filters), source.bind(metric.read)
    number: str | None = getattr(metric, "number", None)
    if number is not None:
        value = f"v{n} if v{n}.__class__ is int and LEAST < v{n} < MOST else {read}(p)"
        source.lines.append(f"    v{n} = {source.value(number)}")
    else:
        value = f"{read}(p)"
    source.lines.append(f"    v{n} = ({value}) if {test} else None" if test else f"    v{n} = {value}")
