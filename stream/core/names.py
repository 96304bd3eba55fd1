"""The JSON of groups, made once for each group's key."""

from typing import Any

from stream.core.groups import group_key_of, group_name

MOST = 1 << 16


class Names(dict[Any, str]):
    """Group key -> the group as compact JSON. Bounded."""

    def __init__(self, properties: tuple[str, ...]) -> None:
        super().__init__()
        self._properties = properties

    def __missing__(self, key: Any) -> str:
        if len(self) >= MOST:
            self.clear()
        text = self[key] = group_name(self._properties, key)
        return text

    def key_of(self, name: bytes) -> Any:
        """The group key of a group's JSON."""
        return group_key_of(self._properties, name)
