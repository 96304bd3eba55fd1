"""What an own metric type is made of: a `Folding` says how values become one, a `PlugIn` names it.

    class Product(Folding):
        def empty(self): return 1
        def add(self, acc, value, us, order): return acc * value
        def merge(self, acc, other): return acc * other
        def value(self, acc, events): return acc

    class ProductType(PlugIn):
        name = "product"
        def folding(self, definition): return Product()

and in pyproject.toml, `[project.entry-points."tallystream.metrics"]`, `product = "my_package:ProductType"`;
docs/plugins.md makes a whole one.
Windows, lateness, groups, upserts, the changelog and Redis come with it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from schemas.definitions import Metric as Definition
from stream.core.metrics.base import CalendarLike, Metric, State, Terms, Value
from stream.core.metrics.cells import Fold, Span, kinds_of
from stream.core.metrics.reading import Reader, numeric
from stream.core.metrics.replacing import state_of
from stream.core.metrics.shapes import shape_of
from stream.core.metrics.windowed import total_alone
from stream.core.metrics.wire import packed, unpacked


class Folding(ABC):
    """How the values of a window become its total; see `cells.Fold`.

    The outcome must not depend on the order of `add` and `merge`. An accumulator that is no number
    also needs `plain` and `restored`: a form of it that msgpack holds (bytes, text, integers below
    2^63, lists, None), and back.
    """

    @abstractmethod
    def empty(self) -> Any:
        """The accumulator of no event."""

    @abstractmethod
    def add(self, acc: Any, value: Any, us: int, order: int) -> Any:
        """Count a value of the instant `us`; may change and answer `acc`."""

    @abstractmethod
    def merge(self, acc: Any, other: Any) -> Any:
        """Both together; may change and answer `acc`, but leaves `other` as it is."""

    @abstractmethod
    def value(self, acc: Any, events: int) -> Value:
        """The total of at least one event: an int, a Decimal or a Fraction."""

    def error(self, acc: Any) -> str | None:  # noqa: ARG002
        """How far off an estimate may be, relatively, as a decimal string; None, for exact, unless overridden."""
        return None

    def plain(self, acc: Any) -> Any:
        """The accumulator as msgpack holds it."""
        return packed(acc)

    def restored(self, plain: Any) -> Any:
        """The accumulator again."""
        return unpacked(plain)


class PlugIn(ABC):
    """A metric type whose windows stand each for themselves."""

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = ()
    """Names of the definition's fields that are this type's own; their values are in `definition.extra`."""

    @abstractmethod
    def folding(self, definition: Definition) -> Fold:
        """How this definition's values become one."""

    def faults(self, definition: Definition) -> list[tuple[str, str]]:
        """What is wrong with a definition: (field, sentence); by default that it lacks `property`."""
        return [] if definition.property else [("property", f"is missing: `{self.name}` needs the property it reads")]

    def read(self, definition: Definition, terms: Terms) -> Reader:
        """Reads an event's value: by default the number of `property`."""
        assert definition.property is not None
        return numeric(terms.reader(definition.property))

    def build(self, definition: Definition, terms: Terms) -> Metric:
        """See `MetricType`."""
        return PlugInMetric(definition, terms, self.folding(definition), self.read(definition, terms))


class PlugInMetric:
    """A definition of a plugged-in type at work."""

    keyed = False

    def __init__(self, definition: Definition, terms: Terms, folding: Fold, read: Reader) -> None:
        self.key = definition.key
        self.windows = kinds_of(definition)
        self.shape = shape_of(definition, terms)
        self.read = read
        self._folding, self._terms, self._rounding = folding, terms, definition.rounding
        self._span = Span(self.windows, terms, definition.lateness_us)

    def state(
        self,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,  # noqa: ARG002 - the overall state is like a group's
    ) -> State:
        """See `Metric.state`."""
        return state_of(self._folding, self._span, self._rounding, self._terms, calendar, chunks)

    def carried(self, chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Carrying`; where events may be taken back, windows hang together by buckets of the calendar."""
        return {} if self._terms.upsert else total_alone(chunks)
