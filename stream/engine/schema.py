"""A Faust schema that decodes nothing: blocks stay as they were fetched."""

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.types import AppT


class BlockSchema(faust.Schema):  # type: ignore[type-arg]  # generic for mypy, not when it runs
    """Makes an event of a message whose value is a block, at the cost of one call."""

    def compile(self, app: AppT, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Build the decoder, once for each stream."""
        create = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return create(None, message.value, None, message)

        return decode
