"""Who and how much comes in: connections, tokens, bodies, and requests at once. Nothing waits in a queue.

Back pressure: a room that is full answers 429 at once, a connection too many 503. A body is read within a time and up
to a size; a client that is slow holds a connection and no room.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import hdrs, web

from tally.api.problems import RETRY_S, Problem

HEADERS_S = 10.0
"""How long a connection may take to its first whole request; later ones have the keep-alive time."""
KEEP_ALIVE_S = 75.0
BODY_S = 10.0
LINGER_S = 1.0
"""How long the rest of a refused body is still read, so that its sender comes to read the answer."""
MOST_CONNECTIONS = 2_000
LOOPBACK = ("localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own.

    >>> is_loopback("127.0.0.2"), is_loopback("127.0.0.1.example.org"), is_loopback("::1")
    (True, False, True)
    """
    parts = host.split(".")
    return host.lower() in LOOPBACK or (
        parts[0] == "127" and len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts)
    )


class Guard:
    """Lets in who has the token; without one, callers of this machine that are no web page."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def __call__(self, request: web.BaseRequest) -> None:
        """Raise Problem (401) for who may not."""
        if self._token is None:
            self._from_here(request)
            return
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        # the comparison takes as long for a wrong token as for the right one; its length may be learnt
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent, self._token):
            said = "is missing" if not given else "is wrong"
            raise Problem(
                401, f"the token {said}: send the header Authorization: Bearer TOKEN", "Authorization", closes=True
            )

    @staticmethod
    def _from_here(request: web.BaseRequest) -> None:
        # A page of any site can make its reader's browser send requests to 127.0.0.1, and by a name that leads there
        # read the answers. Browsers send Origin with each POST, and the page's own name as Host.
        host = request.headers.get(hdrs.HOST, "")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if hdrs.ORIGIN in request.headers or not is_loopback(name):
            what = hdrs.ORIGIN if hdrs.ORIGIN in request.headers else hdrs.HOST
            raise Problem(
                401, f"{what} names a web page or another host, and no token is set: set TALLY_API_TOKEN", str(what),
                closes=True,
            )  # fmt: skip


class Room:
    """So many at once and no more."""

    def __init__(self, name: str, most: int, changed: Callable[[int], object] = lambda _: None) -> None:
        """`changed` hears how many are in it."""
        self.name, self.most, self.taken = name, most, 0
        self._changed = changed

    def enter(self, amount: int = 1) -> None:
        """Take room; Problem (429) where there is none."""
        if self.taken + amount > self.most:
            raise Problem(429, f"too much at once ({self.name}): send the request again in {RETRY_S} s", closes=True)
        self.taken += amount
        self._changed(self.taken)

    def leave(self, amount: int = 1) -> None:
        """Give room back."""
        self.taken -= amount
        self._changed(self.taken)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one while the block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


class Body:
    """A request's body, read within `BODY_S` and up to a size; what it takes of `room` is given back at the end."""

    def __init__(self, request: web.Request, most: int, room: Room | None = None, *, seconds: float = BODY_S) -> None:
        self._request, self._most, self._room, self._seconds, self._held = request, most, room, seconds, 0

    async def __aenter__(self) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read()
        except TimeoutError:
            self._give_back()
            raise Problem(408, f"the body did not come within {self._seconds:g} s", closes=True) from None
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    async def _read(self) -> bytes:
        length = self._request.content_length
        if length is not None and length > self._most:
            raise self._too_large()
        chunks = []
        size = 0
        try:
            async for chunk in self._request.content.iter_any():
                size += len(chunk)
                if size > self._most:
                    raise self._too_large()
                if self._room is not None:
                    self._room.enter(len(chunk))
                    self._held += len(chunk)
                chunks.append(chunk)
        except web.RequestPayloadError as fault:
            raise Problem(400, f"the body cannot be read: {fault}", closes=True) from None
        return b"".join(chunks)

    def _too_large(self) -> Problem:
        return Problem(413, f"the body is larger than {self._most} bytes", closes=True)

    def _give_back(self) -> None:
        if self._room is not None and self._held:
            self._room.leave(self._held)
            self._held = 0


class Site(web.BaseSite):
    """A listening port: so many connections, and none that stays without a request."""

    __slots__ = ("_headers_s", "_host", "_most", "_port", "_silent")

    def __init__(
        self, runner: web.AppRunner, host: str, port: int, *, most: int = MOST_CONNECTIONS, headers_s: float = HEADERS_S
    ) -> None:
        super().__init__(runner)
        self._host, self._port, self._most, self._headers_s = host, port, most, headers_s
        self._silent: set[web.RequestHandler] = set()

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._port}"

    def begun(self, request: web.BaseRequest) -> None:
        """Note that a connection has sent a request."""
        self._silent.discard(request.protocol)

    async def start(self) -> None:
        """Listen; OSError where the address is taken."""
        await super().start()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None

        def taken(transport: asyncio.Transport) -> None:
            if len(server.connections) >= self._most:
                _turn_away(transport)
                return
            handler = server()
            transport.set_protocol(handler)
            handler.connection_made(transport)
            self._silent.add(handler)
            loop.call_later(self._headers_s, self._cut, handler)

        self._server = await loop.create_server(lambda: _Doorstep(taken), self._host, self._port, backlog=512)

    def _cut(self, handler: web.RequestHandler) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            if handler.transport is not None:
                handler.transport.abort()


class _Doorstep(asyncio.Protocol):
    """A connection that has just come: whether it is taken is decided when those before it have been counted."""

    def __init__(self, taken: Callable[[asyncio.Transport], None]) -> None:
        self._taken = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._taken(cast("asyncio.Transport", transport))  # uvloop's own is no subclass


def _turn_away(transport: asyncio.Transport) -> None:
    """Tell a connection too many to come back."""
    body = b'{"error":"too many connections","path":null}\n'
    transport.write(
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"Retry-After: %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (RETRY_S.encode(), len(body), body)
    )
    transport.close()
