"""Metric types by name: each is a class that a distribution offers in the group `tallystream.metrics`."""

from functools import cache
from importlib.metadata import entry_points

from stream.core.metrics.base import MetricType

GROUP = "tallystream.metrics"


@cache
def metric_type(name: str) -> MetricType:
    """The type of metric that a distribution offers under a name.

    Raises `LookupError` where none does, and `TypeError` where what it offers is no metric type.

    >>> metric_type("gauge").name
    'gauge'
    """
    for found in entry_points(group=GROUP, name=name):
        made = found.load()()
        if not isinstance(made, MetricType):
            raise TypeError(f"{found.value} is no metric type: it needs name, faults and build")
        if made.name != name:
            raise TypeError(f"{found.value} is named {made.name!r}, but its entry point {name!r}")
        return made
    raise LookupError(f"no distribution offers a metric type named {name!r}")


def metric_types() -> list[str]:
    """The names of all metric types that are installed, in order; none is imported for it."""
    return sorted(entry_points(group=GROUP).names)
