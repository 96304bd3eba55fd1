"""Who owns the import names that Tallystream uses.

`agents`, `stream` and `schemas` are names that others install too (openai-agents installs `agents`). Two
distributions that own one name overwrite each other's files, and which of them wins is chance; so `tally` looks
before it imports any of them.
"""

from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

OURS = "tallystream"
SHARED = ("agents", "stream", "schemas")
ROOT = Path(__file__).resolve().parent.parent


def _tops(distribution: metadata.Distribution) -> Iterator[str]:
    """Yield what a distribution puts at the top of site-packages: `agents`, or `agents` for `agents.py`."""
    listing = distribution.read_text("RECORD")
    if listing is not None:
        for line in listing.splitlines():
            head, slash, _ = line.partition("/")
            yield head if slash else head.partition(",")[0].removesuffix(".py")
    else:
        yield from (distribution.read_text("top_level.txt") or "").split()


def rivals(distributions: Iterable[metadata.Distribution]) -> Iterator[tuple[str, str]]:
    """Yield (distribution, name) for each shared name that a distribution other than ours installs."""
    for distribution in distributions:
        name = distribution.metadata["Name"] or "?"
        if name.lower() != OURS:
            found = set(SHARED).intersection(_tops(distribution))
            yield from ((name, top) for top in sorted(found))


def strays(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, name) for each shared name that Python would import from elsewhere than beside `tally`."""
    for name in SHARED:
        spec = find_spec(name)
        places = [Path(place).resolve() for place in (spec.submodule_search_locations or [])] if spec else []
        if spec is not None and not places and spec.origin:
            places = [Path(spec.origin).resolve()]
        for place in places:
            if place.parent != root:
                yield str(place), name


def conflict() -> str | None:
    """The sentence with which `tally` refuses to start, or None where the names are ours."""
    for owner, name in rivals(metadata.distributions()):
        return (
            f"tally cannot start here: the distribution {owner} installs the package `{name}`, which Tallystream has "
            f"too, and the two overwrite each other. Tallystream is an application: give it an environment of its "
            f"own (uv tool install {OURS}). What belongs into a service's environment is `tallygate`."
        )
    for place, name in strays(ROOT):
        return (
            f"tally cannot start here: Python finds the package `{name}` at {place}, not beside Tallystream in "
            f"{ROOT}. Start tally from another directory, or without PYTHONPATH."
        )
    return None
