"""A connection to a broker that breaks is an error that aiokafka knows, on uvloop too."""

import asyncio
import socket
import struct

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from stream.engine import connections


async def _reset() -> AIOKafkaConnection:
    """A connection that the other side has reset, of which its reader has not heard yet."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host, port = listening.getsockname()
        connection = AIOKafkaConnection(host, port)
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task = asyncio.create_task(asyncio.Event().wait())  # does not hear of it
        other, _ = listening.accept()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
        other.close()
    with pytest.raises(ConnectionResetError):
        await connection._reader.read()
    return connection


def test_a_request_on_a_broken_connection_fails_as_aiokafka_expects() -> None:
    """Not with uvloop's RuntimeError, which ends the task that keeps the metadata new; and the connection is closed."""

    async def ask() -> None:
        connection = await _reset()
        assert connection.connected(), "as far as aiokafka sees"
        with pytest.raises(KafkaConnectionError, match="broken"):
            await connection.send(ApiVersionRequest())
        assert not connection.connected()

    connections.mend()
    uvloop.run(ask())
