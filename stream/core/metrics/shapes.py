"""The name of the parameters that shaped a metric's saved states.

Under another shape the same chunks would mean something else, so they are not restored. Rounding and
lateness are not in it, and neither are name and description: they only choose among or show the numbers.
Nor are the windows of gauges and of what folds into each window by itself: kinds that stay carry on, new
ones start with nothing (of a gauge with its state). Where windows are made of buckets, they are in it.
"""

import hashlib
from typing import Any

import msgspec

from schemas.definitions import Metric as Definition
from stream.core.metrics.base import Terms
from stream.core.metrics.reading import member_of

_LAYOUT = 3
"""Raise it when the saved form of states changes."""


def shape_of(definition: Definition, terms: Terms) -> str:
    """A short digest, after the type's name so that a person recognizes it."""
    bucketed = definition.type == "rate" or (terms.upsert and definition.type != "gauge")
    parts = (
        _LAYOUT,
        definition.type,
        definition.event_name,
        definition.aggregation,
        definition.property,
        definition.filters,
        definition.group_by,
        definition.windows if bucketed else (),
        definition.granularity,
        definition.proration,
        definition.sliding,
        definition.event_type,
        definition.initial_value,
        definition.operation,
        definition.approximate_above,
        definition.extra,
        terms.upsert,
    )
    return f"{definition.type}-{hashlib.blake2s(member_of(_plain(parts)), digest_size=8).hexdigest()}"


def _plain(value: Any) -> Any:
    """As JSON values, of which `member_of` tells equal numbers the same and 1, true and "1" apart."""
    if isinstance(value, msgspec.Struct):
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in value.__struct_fields__)]
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
