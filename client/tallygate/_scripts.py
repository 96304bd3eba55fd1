"""The Lua scripts, ready to be called by their hash."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import ConnectionError, NoScriptError  # noqa: A004 - redis-py's own

Text = str | bytes | int


@dataclass(frozen=True)
class Script:
    """One script: its text, and the hash by which Redis knows it."""

    name: str
    text: str
    sha: str

    def call(self, redis: Any, keys: Sequence[str], args: Sequence[Text]) -> Any:
        """Run it where its keys live; a server that does not know it, or has forgotten it, is given its text."""
        try:
            return redis.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return redis.eval(self.text, len(keys), *keys, *args)

    async def call_async(self, redis: Any, keys: Sequence[str], args: Sequence[Text]) -> Any:
        """Run it as `call` does, with an asyncio client."""
        try:
            return await whole(redis.evalsha(self.sha, len(keys), *keys, *args))
        except NoScriptError:
            return await whole(redis.eval(self.text, len(keys), *keys, *args))


async def whole(call: Awaitable[Any]) -> Any:
    """Await a call of an asyncio client.

    When redis-py's cluster client reads the nodes again, it closes connections that other tasks are using (seen in
    8.1); what they get then is an AttributeError, which says nothing else than that the connection is gone.
    """
    try:
        return await call
    except AttributeError as error:
        raise ConnectionError(f"the connection was closed while it was used: {error}") from error


def text_of(*names: str) -> str:
    """The texts of some files of `scripts/`, one after the other."""
    folder = files("tallygate") / "scripts"
    return "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)


def script(*names: str) -> Script:
    """Make a script of some files, one after the other; it is called after the last one."""
    text = text_of(*names)
    return Script(names[-1], text, sha1(text.encode(), usedforsecurity=False).hexdigest())
