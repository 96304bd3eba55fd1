"""A state so small that a test can see through it: how many distinct ids each key had, and nothing else.

The engine's promises (nothing lost, nothing twice, whatever is killed) do not depend on what is folded. An event is
`{"id": text}` under a key; the row of a key is the sorted list of its ids' numbers, so that a test that recounts the
source sees at once which id is missing or double.
"""

import json
from collections.abc import Sequence
from typing import Any

from stream.core.commit import Commit, Out, Publication
from stream.core.header import KEY, Fingerprint, Header, unpack


class TinyState:
    """Counts ids by key; an id that came before is a duplicate, an event without an id is rejected."""

    def __init__(self, number: int, count: int, held: int | None) -> None:
        self.number, self.held = number, held
        self.header = Header(partitions=count)
        self.rows: dict[bytes, list[str]] = {}
        self.seen: set[str] = set()
        self._dirty: set[bytes] = set()
        self._outbox: list[Out] = []
        self._moved = False
        self._again: set[bytes] = set()

    @property
    def dirty(self) -> bool:
        return bool(self._dirty or self._outbox or self._moved or self._again)

    def restore(self, records: Sequence[Any]) -> None:
        for record in records:
            if record.key == KEY:
                self.header = unpack(record.value)
            elif record.key.startswith(b"r"):
                ids = json.loads(record.value)
                self.rows[record.key[1:]] = ids
                self.seen.update(ids)

    def restored(self) -> None:
        """Nothing is encoded here."""

    def begin_term(self) -> None:
        self.header.term += 1
        self.header.number = 0
        self._moved = True

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        for record in records:
            event = json.loads(record.value)
            if event.get("poison"):
                raise RuntimeError("a fold that fails")
            self.header.counts.read += 1
            self._moved = True
            if "id" not in event:
                self._outbox.append(Out("rejected", record.key, record.value, [], None, None))
                self.header.counts.rejected += 1
            elif event["id"] in self.seen:
                self.header.counts.duplicate += 1
            else:
                self.seen.add(event["id"])
                self.rows.setdefault(record.key, []).append(event["id"])
                self._dirty.add(record.key)
                self.header.counts.counted += 1
            self.header.fingerprint = Fingerprint.of(record)
        self.header.next_offset = next_offset

    def refuse(self, record: Any, next_offset: int, detail: str) -> None:
        self._outbox.append(Out("rejected", record.key, record.value, [("tally-detail", detail.encode())], None, None))
        self.header.counts.rejected += 1
        self.header.next_offset, self._moved = next_offset, True

    def take(self, most: int = 1) -> Commit | None:  # noqa: ARG002 - a protocol's; so few are never too many
        if not self.dirty:
            return None
        self.header.number += 1
        rows: list[tuple[bytes, bytes | None]] = [(KEY, self.header.pack())]
        rows += [(b"r" + key, json.dumps(self.rows[key]).encode()) for key in sorted(self._dirty)]
        shown = [
            Publication(key.decode(), {"ids": str(len(self.rows[key]))}, [], whole=True)
            for key in sorted(self._dirty | self._again)
        ]
        commit = Commit(
            version=self.header.version,
            next_offset=self.header.next_offset or 0,
            rows=rows,
            outbox=self._outbox,
            publications=shown,
            complete=True,
        )
        self._dirty, self._again, self._outbox, self._moved = set(), set(), [], False
        return commit

    def publish_since(self, version: int | None) -> None:
        if version is None or version < self.header.version:
            self._again = set(self.rows)

    def sweep(self, steps: int) -> None:
        """Nothing expires."""


class NoPublisher:
    """Publishes nothing."""

    def __init__(self) -> None:
        self.offered: list[Commit] = []
        self.room = 1

    def offer(self, commit: Commit) -> None:
        self.offered.append(commit)

    async def run(self) -> None:
        """Nothing waits."""
        import asyncio

        await asyncio.Event().wait()

    async def held(self) -> int | None:
        return None
