"""What waits to be published: for each customer one publication, in which the commits that touched it have met."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from stream.core.commit import Commit, Publication


@dataclass(slots=True)
class Waiting:
    """One customer's publication, at the version and position of the last commit that touched it."""

    customer: str
    version: int
    position: int
    fields: dict[str, str | None]
    settles: dict[str, None]  # an ordered set
    whole: bool

    def merge(self, newer: Publication, version: int, position: int) -> None:
        """Take a later commit's publication in: the last value of a field wins, settled reservations add up."""
        self.version, self.position = version, position
        if newer.whole:
            self.fields, self.whole = newer.fields, True
        else:
            self.fields = self.fields | newer.fields  # a new one: the first is its commit's
        self.settles.update(dict.fromkeys(newer.settles))


@dataclass(slots=True)
class Pending:
    """Commits offered and not yet published; bounded by the number of customers in them.

    `version`, `position` and `complete` are those of the last commit, None and False before the first.
    """

    most: int
    customers: dict[str, Waiting] = field(default_factory=dict)
    version: int | None = None
    position: int = 0
    complete: bool = False

    def __bool__(self) -> bool:
        return self.version is not None

    def add(self, commit: Commit) -> bool:
        """Take a commit in; False when that is more than may wait, and nothing that waits can be used any more."""
        self.version, self.position, self.complete = commit.version, commit.next_offset, commit.complete
        for publication in commit.publications:
            known = self.customers.get(publication.customer)
            if known is None:
                if len(self.customers) >= self.most:
                    return False
                self.customers[publication.customer] = Waiting(
                    publication.customer,
                    commit.version,
                    commit.next_offset,
                    publication.fields,
                    dict.fromkeys(publication.settles),
                    publication.whole,
                )
            else:
                known.merge(publication, commit.version, commit.next_offset)
        return True

    def chunks(self, most: int, most_bytes: int) -> Iterator[list[Waiting]]:
        """The customers in chunks of `most`, smaller where their fields are large; one customer is never split."""
        chunk: list[Waiting] = []
        size = 0
        for waiting in self.customers.values():
            weight = sum(map(len, chain(waiting.fields, filter(None, waiting.fields.values()))))
            if chunk and (len(chunk) >= most or size + weight > most_bytes):
                yield chunk
                chunk, size = [], 0
            chunk.append(waiting)
            size += weight
        yield chunk
