"""Records to events: our own dialect in one msgspec call each, all else by the complete path of `dialects`.

The two agree: what the fast path accepts, the complete path accepts with the same fields, and whatever the
fast path does not take, the complete path judges. Neither raises, whatever the bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from schemas.rejections import MOST_BYTES, TOO_LARGE, Refusal
from stream.core.dialects import BINARY_PREFIX, Refused, identifier, read, reservation
from stream.core.jsontext import DEEPEST, opens
from stream.core.numbers import exact

Path = tuple[str, ...]
"""A property's name, or the names from the outermost object inwards that a dotted one reads."""


class Record(Protocol):
    """What is read of a Kafka record; `timestamp` is in milliseconds, None or negative where there is none."""

    @property
    def value(self) -> bytes | None:
        """The message."""
        ...

    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]:
        """Names and values."""
        ...

    @property
    def timestamp(self) -> int | None:
        """Milliseconds since the epoch."""
        ...


class Event(msgspec.Struct, gc=False):
    """One event, its shape checked.

    `id` names it within its customer (for CloudEvents, source and id in one text), `customer_id` is as sent,
    `timestamp` as written (a `Calendar` reads it), and `properties` holds the used ones, see `Properties`.
    """

    id: str
    event_name: str
    customer_id: str
    timestamp: str | int | Decimal
    properties: Any
    reservation: str | None = None


def reach(value: Any, path: Path) -> Any:
    """The value that the names lead to inside a property; None where one is absent, null, or inside no object.

    >>> reach({"a": {"b": 1}}, ("a", "b")), reach({"a": 1}, ("a", "b"))
    (1, None)
    """
    for name in path:
        if value.__class__ is not dict:
            return None
        value = value.get(name)
    return value


class Properties:
    """Where an event holds the properties that definitions use: attributes p0, p1, ... of `Event.properties`.

    An attribute is None where the property is absent or null; of a dotted property the first name has an
    attribute, which holds the whole outer object.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """The attributes follow the order in which the paths first name them."""
        self.attributes = {name: f"p{n}" for n, name in enumerate(dict.fromkeys(path[0] for path in paths))}
        fields = [(attribute, Any, None) for attribute in self.attributes.values()]
        names = {attribute: name for name, attribute in self.attributes.items()}
        # msgspec refuses names that JSON must escape; then every message takes the complete path
        self.fast = not any(ord(each) < 32 or each in '"\\' for name in self.attributes for each in name)
        self.type: type[Any] = msgspec.defstruct("Used", fields, rename=names if self.fast else None, gc=False)

    def expression(self, path: Path, bind: Callable[[Any], str], variable: str = "p") -> str:
        """Python source that reads a path from `variable`; `bind` names a constant, and the names are one.

        `reach` is bound as a constant too.
        """
        read_first = f"{variable}.{self.attributes[path[0]]}"
        return read_first if len(path) == 1 else f"{bind(reach)}({read_first}, {bind(path[1:])})"

    def get(self, properties: Any, path: Path) -> Any:
        """The value of a path that was named when this was made, or None."""
        return reach(getattr(properties, self.attributes[path[0]]), path[1:])

    def fill(self, properties: dict[str, Any]) -> Any:
        """`Event.properties` of an event's whole properties."""
        return self.type(*[properties.get(name) for name in self.attributes])


class Decoder:
    """Reads records for definitions that use the given properties."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """`layout` then says where each property is."""
        self.layout = Properties(paths)
        fields: list[Any] = [
            ("id", str | int),
            ("event_name", str),
            ("customer_id", str | int),
            ("timestamp", Any),
            ("properties", self.layout.type, msgspec.field(default_factory=self.layout.type)),
            ("reservation", Any, None),
            ("specversion", Any, msgspec.UNSET),
        ]
        native: Any = msgspec.defstruct("NativeEvent", fields, bases=(Event,), gc=False)
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder(native, float_hook=exact).decode

    def block(self, records: Sequence[Record]) -> list[Event | Refusal]:
        """An event or a refusal for each record, in their order."""
        decode, complete, unset = self._decode, self.record, msgspec.UNSET
        out: list[Event | Refusal] = []
        if not self.layout.fast:
            return [complete(record) for record in records]
        add = out.append
        for record in records:
            value = record.value
            try:
                # msgspec skips what it need not keep without looking for UTF-8, and may recurse as deep as the stack allows
                odd = value is None or record.headers or not value.isascii() or len(value) > 2 * DEEPEST
                if odd and not _skippable(record):
                    add(complete(record))
                    continue
                event = decode(value)
                if event.specversion is not unset:
                    add(complete(record))
                    continue
                text = event.id
                if text.__class__ is not str or not 0 < len(text) <= 64 or not text.isprintable():
                    event.id = identifier(text, "id")
                text = event.customer_id
                if text.__class__ is not str or not 0 < len(text) <= 64 or not text.isprintable():
                    event.customer_id = identifier(text, "customer_id")
                stamp = event.timestamp.__class__
                if stamp is not str and stamp is not int and stamp is not Decimal:
                    add(complete(record))
                    continue
                if event.reservation is not None:
                    event.reservation = reservation(event.reservation)
                add(event)
            except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError, TypeError, AttributeError):
                add(complete(record))
        return out

    def record(self, record: Record) -> Event | Refusal:
        """One record by the complete path: every dialect, and every refusal with its sentence."""
        value = record.value
        if value is not None and len(value) > MOST_BYTES:
            return Refusal(TOO_LARGE, f"the message has {len(value)} bytes: send at most {MOST_BYTES} (1 MiB)")
        try:
            found = read(value, record.headers, record.timestamp)
        except Refused as refused:
            return Refusal(refused.reason, refused.detail)
        properties = self.layout.fill(found.properties)
        return Event(found.id, found.event_name, found.customer_id, found.timestamp, properties, found.reservation)


def _skippable(record: Record) -> bool:
    """Whether a record with headers, of other than ASCII, or long, may still go the fast way."""
    value = record.value
    if value is None or len(value) > MOST_BYTES or any(name.startswith(BINARY_PREFIX) for name, _ in record.headers):
        return False
    if not value.isascii():
        value.decode()
    return len(value) <= 2 * DEEPEST or opens(value) <= DEEPEST
