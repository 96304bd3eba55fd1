"""Events that wait to be folded, flat tuples so that many of them are sorted and turned into columns at once.

What makes one of an event, and what remembers what many of them contributed, is generated for the metrics of its name.
"""

from collections.abc import Callable, Sequence
from typing import Any

from stream.core.built import Built, write_value
from stream.core.codegen import Source
from stream.core.decode import Properties
from stream.core.metrics.wire import NATIVE, encode, plain_of
from stream.core.numbers import LIMIT

Waiting = tuple[Any, ...]
"""(us, order, windows, properties, chunk, number in the chunk, and for each metric its value or None).

The first two decide which of two comes first. The properties are None where no metric has groups.
"""

ORDER, WINDOWS, PROPERTIES, CHUNK, NUMBER, FIRST = range(1, 7)
"""Places in a `Waiting`; the values begin at `FIRST`."""


def waits_of(chosen: Sequence[Built], properties: Properties) -> Callable[..., Waiting]:
    """`waits(w, order, p, chunk, i)` of an event; it raises as `Built.value` does."""
    source = Source(properties, LEAST=-LIMIT, MOST=LIMIT)
    source.lines.append("def waits(w, order, p, chunk, i):")
    for n, built in enumerate(chosen):
        write_value(source, built, n)
    needed = "p" if any(built.group is not None for built in chosen) else "None"
    source.lines.append(f"    return (w[0], order, w, {needed}, chunk, i{_columns(chosen)})")
    made: Callable[..., Waiting] = source.run("the values of an event")["waits"]
    return made


def contributions_of(chosen: Sequence[Built], properties: Properties) -> Callable[..., dict[bytes, bytes]]:
    """`contributions(hour, customer, batch)`: by the hash of its id, what these metrics made of each event.

    For metrics without groups. Encoded as a `stream.core.upserts.Contribution`; raises OverflowError where an
    integer is beyond 64 bits.
    """
    source = Source(properties, encode=encode, plain_of=plain_of, NATIVE=NATIVE)
    source.lines += [
        "def contributions(hour, customer, batch):",
        "    made = {}",
        f"    for us, order, _, _, chunk, i{_columns(chosen)} in batch:",
        "        parts = []",
    ]
    for n, built in enumerate(chosen):
        head = f"{source.bind(built.key)}, {source.bind(built.metric.shape)}, None"
        source.lines += [
            f"        if v{n} is not None:",
            f"            parts.append(({head}, v{n} if v{n}.__class__ in NATIVE else plain_of(v{n})))",
        ]
    source.lines += ["        made[chunk.hashes[i]] = encode((hour, customer, us, order, parts))", "    return made"]
    found: Callable[..., dict[bytes, bytes]] = source.run("what events contributed")["contributions"]
    return found


def _columns(chosen: Sequence[Built]) -> str:
    return "".join(f", v{n}" for n in range(len(chosen)))
