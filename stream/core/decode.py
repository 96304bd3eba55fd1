"""Records to events: by one msgspec call each where that will do, all else by the complete path of `dialects`.

All paths agree: what a faster one accepts, the complete path accepts with the same fields, and whatever the
faster ones do not take, the complete path judges. None raises, whatever the bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Literal, Protocol

import msgspec

from schemas.rejections import MOST_BYTES, TOO_LARGE, Refusal
from stream.core.dialects import (
    BINARY_PREFIX,
    CLOUD_EVENT,
    NAMES,
    Refused,
    cloud_identity,
    identifier,
    read,
    reservation,
)
from stream.core.jsontext import DEEPEST, opens
from stream.core.numbers import exact

Path = tuple[str, ...]
"""A property's name, or the names from the outermost object inwards that a dotted one reads."""


RUN = 128
"""Records that take the narrow path together, or not: one that cannot sends so many the second fastest way."""
_headers = attrgetter("headers")
_STAMPS = frozenset({str, int, Decimal})
_FAULTS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError, TypeError, AttributeError)


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

    def reader(self, path: Path) -> Callable[[Any], Any]:
        """What reads a path that was named when this was made, off an event's properties; None where it is absent."""
        first = attrgetter(self.attributes[path[0]])
        return first if len(path) == 1 else lambda properties: reach(first(properties), path[1:])

    def fill(self, properties: dict[str, Any]) -> Any:
        """`Event.properties` of an event's whole properties."""
        return self.type(*[properties.get(name) for name in self.attributes])


class Decoder:
    """Reads records for definitions that use the given properties."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """`layout` then says where each property is."""
        self.layout = Properties(paths)
        self._one = self._native(str | int, Any, Any, Any)
        # The narrow form takes what needs no further look once `_narrow_block` has seen the bytes; a message of at
        # most 256 bytes has no id that is longer, and without a backslash or DEL none with a control character.
        text = Annotated[str, msgspec.Meta(min_length=1)]
        self._narrow = self._native(text, str | int, text | None, Literal["no value is this one"])

        self._wide = self._wide_decoder() if self.layout.fast else None

    def _wide_decoder(self) -> Callable[[Any], Any]:
        """Decodes all names of all dialects, each into an attribute of that name; None where it is absent or null."""
        names = dict.fromkeys(name for dialect in (NAMES, CLOUD_EVENT) for group in dialect.values() for name in group)
        fields: list[Any] = [(name, Any, None) for name in names if name not in {"properties", "data"}]
        fields += [(name, self.layout.type | None, None) for name in ("properties", "data")]
        fields += [("specversion", Any, msgspec.UNSET), ("data_base64", Any, None)]
        wide: Any = msgspec.defstruct("WideEvent", fields, gc=False)
        return msgspec.json.Decoder(wide, float_hook=exact).decode

    def _native(self, name: Any, stamp: Any, hold: Any, version: Any) -> Callable[[Any], Any]:
        """Decodes our own dialect into an `Event` with a `specversion`, its fields of these types."""
        fields: list[Any] = [
            ("id", name),
            ("event_name", str),
            ("customer_id", name),
            ("timestamp", stamp),
            ("properties", self.layout.type, msgspec.field(default_factory=self.layout.type)),
            ("reservation", hold, None),
            ("specversion", version | msgspec.UnsetType, msgspec.UNSET),
        ]
        native: Any = msgspec.defstruct("NativeEvent", fields, bases=(Event,), gc=False)
        return msgspec.json.Decoder(native, float_hook=exact).decode

    def block(self, records: Sequence[Record]) -> list[Event | Refusal]:
        """An event or a refusal for each record, in their order."""
        if not self.layout.fast:
            return [self.record(record) for record in records]
        out: list[Event | Refusal] = []
        for start in range(0, len(records), RUN):
            run = records[start : start + RUN]
            out += self._narrow_block(run) or self._block(run)
        return out

    def _narrow_block(self, records: Sequence[Record]) -> list[Event] | None:
        """The events of records that are all short, ASCII and in our own dialect; None where one is not."""
        decode = self._narrow
        values: list[Any] = [record.value for record in records]
        try:
            if max(map(len, values)) > 2 * DEEPEST or any(map(_headers, records)):
                return None
            together = b"".join(values)
            if not together.isascii() or b"\\" in together or b"\x7f" in together:
                return None
            return [decode(value) for value in values]
        except _FAULTS:
            return None

    def _block(self, records: Sequence[Record]) -> list[Event | Refusal]:
        """Record by record: our own dialect by one call of msgspec, the rest by the complete path."""
        decode, complete, unset = self._one, self.record, msgspec.UNSET
        out: list[Event | Refusal] = []
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
                    add(self._other(record))
                    continue
                text = event.id
                if text.__class__ is not str or not 0 < len(text) <= 64 or not text.isprintable():
                    event.id = identifier(text, "id")
                text = event.customer_id
                if text.__class__ is not str or not 0 < len(text) <= 64 or not text.isprintable():
                    event.customer_id = identifier(text, "customer_id")
                if event.timestamp.__class__ not in _STAMPS:
                    add(self._other(record))
                    continue
                if event.reservation is not None:
                    event.reservation = reservation(event.reservation)
                add(event)
            except _FAULTS:
                add(self._other(record))
        return out

    def _other(self, record: Record) -> Event | Refusal:
        """One record that is no event of our own dialect: those of others by one call of msgspec where that will do."""
        if self._wide is None or record.value is None or not _skippable(record):
            return self.record(record)
        try:
            found = self._wide(record.value)
            cloud = found.specversion is not msgspec.UNSET
            if cloud and (found.specversion != "1.0" or found.data_base64 is not None):
                return self.record(record)
            given: dict[str, Any] = {
                name: _first(found, names) for name, names in (CLOUD_EVENT if cloud else NAMES).items()
            }
            event_name, kind = given["event_name"], given["timestamp"].__class__
            if event_name.__class__ is not str or kind not in _STAMPS:
                return self.record(record)
            name, customer = identifier(given["id"], "id"), identifier(given["customer_id"], "customer_id")
            if cloud:
                name = cloud_identity(identifier(given["source"], "source"), name)
            properties = self.layout.type() if given["properties"] is None else given["properties"]
            return Event(name, event_name, customer, given["timestamp"], properties, reservation(given["reservation"]))
        except _FAULTS:
            return self.record(record)

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
    """Whether msgspec may read a record that has headers, or is of other than ASCII, or long."""
    value = record.value
    if value is None or len(value) > MOST_BYTES or any(name.startswith(BINARY_PREFIX) for name, _ in record.headers):
        return False
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
    return len(value) <= 2 * DEEPEST or opens(value) <= DEEPEST


def _first(found: Any, names: Iterable[str]) -> Any:
    """The first attribute that is not None, else None."""
    for name in names:
        value = getattr(found, name)
        if value is not None:
            return value
    return None
