"""A page of documentation as a program: its commands, and what it says that they print."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One block of commands (`sh`) or of Python, and the output that the page shows below it, None where none."""

    language: str
    code: str
    shown: str | None

    def script(self) -> str:
        """The step for bash; Python runs as it stands."""
        if self.language == "python":
            return f"python3 - <<'END_OF_SNIPPET'\n{self.code}END_OF_SNIPPET\n"
        return self.code

    def fits(self, printed: str) -> bool:
        """Whether the output is what the page shows: `...` stands for anything within a line, spaces count once."""
        if self.shown is None:
            return True
        shown, found = _lines(self.shown), _lines(printed)
        return len(shown) == len(found) and all(
            re.fullmatch(".*?".join(map(re.escape, wanted.split("..."))), line)
            for wanted, line in zip(shown, found, strict=True)
        )


def _lines(text: str) -> list[str]:
    return [re.sub(r" +", " ", line).strip() for line in text.strip().splitlines()]


def steps(page: Path, replaced: Mapping[str, str]) -> Iterator[Step]:
    """The steps of a page in order, with addresses and the like replaced by the test's."""
    text = page.read_text()
    for old, new in replaced.items():
        assert old in text, f"{page.name} no longer says {old}"
        text = text.replace(old, new)
    blocks = [(found[1], found[2]) for found in _FENCE.finditer(text)]
    for (language, code), (below, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in {"sh", "python"}:
            yield Step(language, code, shown if below == "text" else None)
