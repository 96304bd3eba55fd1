"""Metric types from other distributions, and those built in, found by their entry points."""

from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, ClassVar

import pytest

from schemas.definitions import EventRule, Metric as Definition
from stream.core.metrics import registry
from stream.core.metrics.base import Terms
from stream.core.metrics.plugin import Folding, PlugIn
from stream.core.metrics.reading import Reader, numeric
from stream.core.metrics.wire import plain_of, value_of
from tests.partitions import World, definitions, event, headers_of
from tests.unit.stream.core.metrics.harness import MINUTE_US, T0, definition, folded, terms


class ProductFolding(Folding):
    def empty(self) -> int:
        return 1

    def add(self, acc: int, value: int, us: int, order: int) -> int:  # noqa: ARG002
        return acc * value

    def merge(self, acc: int, other: int) -> int:
        return acc * other

    def value(self, acc: int, events: int) -> int:  # noqa: ARG002
        return acc


class Product(PlugIn):
    name = "product"

    def folding(self, definition: Definition) -> ProductFolding:  # noqa: ARG002
        return ProductFolding()


class Weighing(Folding):
    def empty(self) -> list[Any]:
        return [0, 0]

    def add(self, acc: list[Any], value: tuple[Any, Any], us: int, order: int) -> list[Any]:  # noqa: ARG002
        return self.merge(acc, [value[0] * value[1], value[1]])

    def merge(self, acc: list[Any], other: list[Any]) -> list[Any]:
        return [acc[0] + other[0], acc[1] + other[1]]

    def value(self, acc: list[Any], events: int) -> Fraction:  # noqa: ARG002
        return Fraction(acc[0]) / Fraction(acc[1])

    def plain(self, acc: list[Any]) -> Any:
        return plain_of(tuple(acc))

    def restored(self, plain: Any) -> list[Any]:
        return list(value_of(plain))


class Weighed(PlugIn):
    name = "weighed"
    fields: ClassVar[tuple[str, ...]] = ("weight_property",)

    def folding(self, definition: Definition) -> Weighing:  # noqa: ARG002
        return Weighing()

    def read(self, definition: Definition, terms: Terms) -> Reader:
        value, weight = super().read(definition, terms), numeric(terms.reader(definition.extra["weight_property"]))

        def both(properties: Any) -> tuple[Any, Any] | None:
            pair = value(properties), weight(properties)
            return None if None in pair else pair

        return both


class Misnamed(Product):
    name = "other"


class Nothing:
    pass


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entry points as another distribution would bring them."""
    offers = EntryPoints(
        EntryPoint(name, f"{__name__}:{kind.__name__}", registry.GROUP)
        for name, kind in (("product", Product), ("weighed", Weighed), ("wrong", Misnamed), ("nothing", Nothing))
    )
    monkeypatch.setattr(registry, "entry_points", lambda group, **given: offers.select(group=group, **given))
    registry.metric_type.cache_clear()
    yield
    registry.metric_type.cache_clear()


@pytest.mark.parametrize("name", ["counter", "gauge", "rate"])
def test_built_in_types_are_found_like_plug_ins(name: str) -> None:
    """By the entry point group, nothing else."""
    assert registry.metric_type(name).name == name
    assert name in registry.metric_types()


@pytest.mark.usefixtures("installed")
def test_a_plug_in_is_found_and_counts() -> None:
    """Four methods make a type with windows, late events and a changelog of its own."""
    metric = registry.metric_type("product").build(definition(type="product", windows=("minute", "total")), terms())
    driven = folded(metric, [(T0, 2), (T0 + MINUTE_US, 3), (T0 + 1, 5)])
    driven.restore()
    assert [value for _, value, _ in driven.values("minute")] == ["10", "3"]
    assert [value for _, value, _ in driven.values("total")] == ["30"]


@pytest.mark.usefixtures("installed")
def test_a_plug_ins_events_may_be_replaced() -> None:
    """Buckets are merged by its own `merge`, and made again without the event that is taken back."""
    metric = registry.metric_type("product").build(definition(type="product"), terms(upsert=True))
    driven = folded(metric, [(T0, 2), (T0 + 90 * MINUTE_US, 3), (T0 + 1, 5)])
    driven.restore()
    driven.remove(T0, 0, 2)
    assert [value for _, value, _ in driven.values("hour")] == ["5", "3"]
    assert [value for _, value, _ in driven.values("day")] == ["15"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("upsert", [False, True])
def test_a_plug_in_reads_the_properties_that_its_fields_name(upsert: bool) -> None:
    """Through a partition: decoded, grouped, refused for what it cannot read, written to the changelog and carried on."""
    fields: dict[str, Any] = {"group_by": ("g",), "extra": {"weight_property": "w.x"}, "windows": ("hour", "total")}
    metric = definition(type="weighed", event_name="call", property="v", **fields)
    rules = {"call": EventRule(on_duplicate="upsert" if upsert else "drop")}
    world = World(definitions(metric, events=rules))
    world.run(event(0, p={"v": 1, "w": {"x": 3}, "g": "a"}), event(1, p={"v": "2", "w": {"x": 1}}))
    world.run(event(2, p={"v": 2, "w": {"x": "none"}}), event(3, p={"v": 2}))
    world.restart()
    world.run(event(4, p={"v": 9, "w": {"x": 4}, "g": "a"}, id="z"))
    assert [headers_of(out)["tally-metrics"] for out in world.outbox] == ["m"]
    assert world.windows("m")["total"] == [[None, None, "5.125", 3, ""]]
    assert [row[2:4] for row in world.windows('m{"g":"a"}')["hour"]] == [["5.571428571428571429", 2]]
    world.restart()
    world.run(event(5, p={"v": 1, "w": {"x": 4}, "g": "a"}, id="z"))
    assert world.windows("m")["total"] == [[None, None, "1.125" if upsert else "5.125", 3, ""]]


@pytest.mark.usefixtures("installed")
def test_a_plug_in_says_what_is_wrong_with_its_fields() -> None:
    """By default that it needs a property."""
    kind = registry.metric_type("product")
    assert kind.faults(definition(type="product")) == []
    [(field, sentence)] = kind.faults(definition(type="product", property=None))
    assert (field, sentence) == ("property", "is missing: `product` needs the property it reads")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "name, fault, words",
    [("absent", LookupError, "absent"), ("wrong", TypeError, "other"), ("nothing", TypeError, "no metric type")],
)
def test_what_is_no_metric_type_is_refused(name: str, fault: type[Exception], words: str) -> None:
    """With a sentence that names it."""
    with pytest.raises(fault, match=words):
        registry.metric_type(name)


def shape(**fields: Any) -> str:
    """The shape of a definition."""
    options = {name: fields.pop(name) for name in ("upsert",) if name in fields}
    made = definition(**fields)
    return registry.metric_type(made.type).build(made, terms(**options)).shape


def test_a_shape_names_what_shaped_the_state() -> None:
    """Other properties, groups or filters make another shape; a name or a window more does not."""
    base = shape(aggregation="sum")
    assert shape(aggregation="sum", name="Other", lateness_us=5) == base
    assert shape(aggregation="sum", windows=("hour",)) == base
    buckets: dict[str, Any] = {"type": "rate", "aggregation": "sum", "granularity": "minute"}
    assert shape(**buckets) != shape(**buckets, windows=("hour",))
    others = [
        shape(aggregation="max"),
        shape(aggregation="sum", property="other"),
        shape(aggregation="sum", group_by=("g",)),
        shape(aggregation="sum", event_name="f"),
        shape(aggregation="sum", upsert=True),
        shape(aggregation="unique"),
        shape(aggregation="unique", approximate_above=5),
    ]
    assert len({base, *others}) == 8
