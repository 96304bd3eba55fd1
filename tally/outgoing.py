"""An event on its way to Kafka: whose it is, and what is wrong with it that can be seen before it is sent."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.rejections import BAD_TIMESTAMP, Refusal
from stream.core.decode import Decoder, Event
from stream.core.timestamps import BadTimestamp, microseconds


class Raw:
    """A record that has not been sent yet, as the decoder wants to see one."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, value: bytes | None, headers: Sequence[tuple[str, bytes]] = (), timestamp_ms: int = 0) -> None:
        self.topic = ""
        self.partition = 0
        self.offset = 0
        self.timestamp = timestamp_ms
        self.key: bytes | None = None
        self.value = value
        self.headers = tuple(headers)


class Seen(NamedTuple):
    """An event in which no fault can be seen: its customer as sent, and its time in microseconds since the epoch."""

    customer: str
    us: int


class Inspector:
    """Looks at events of any dialect with the decoder that the worker uses, so that both see the same faults.

    What depends on the log (too old, in the future, a duplicate) or on a metric (bad_value) cannot be seen here.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(())

    def look(self, records: Sequence[Raw]) -> list[Seen | Refusal]:
        """What can be said of each record."""
        return [self._judge(event) for event in self._decoder.block(records)]

    @staticmethod
    def _judge(event: Event | Refusal) -> Seen | Refusal:
        if isinstance(event, Refusal):
            return event
        try:
            return Seen(event.customer_id, microseconds(event.timestamp))
        except BadTimestamp as bad:
            return Refusal(BAD_TIMESTAMP, str(bad))
