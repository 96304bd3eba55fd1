"""aiokafka's connections on uvloop, where a write to a connection that broke raises what aiokafka does not expect."""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def _sent(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    try:
        return _send(self, request, expect_response)
    except RuntimeError as exc:
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=exc)
        msg = f"Connection at {self.host}:{self.port} broken: {exc}"
        raise KafkaConnectionError(msg) from exc


def mend() -> None:
    """Let a broken connection be a `KafkaConnectionError` on uvloop, as it is on asyncio's own loop; idempotent.

    uvloop's transports raise RuntimeError where they are closed already, and aiokafka sees a connection that was reset
    as open until its reader has heard of it. A request of the task that keeps a client's metadata new, sent in that
    instant, ended the task: every later wait for metadata, a commit's among them, then lasted for ever.
    """
    AIOKafkaConnection.send = _sent
