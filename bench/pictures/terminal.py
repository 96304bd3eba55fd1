"""`python -m bench.pictures.terminal > docs/demo.svg`: runs `tally demo`, and draws what it prints as a terminal shows it.

Nothing is drawn that was not printed; the size of the machine stands in the figures.
"""

import subprocess
import sys
from collections.abc import Sequence
from xml.sax.saxutils import escape

COLUMN, LINE, EDGE = 7.25, 17, 18  # pixels


def picture(command: str, lines: Sequence[str]) -> str:
    """An SVG of a dark terminal with a command and what it printed.

    >>> "rect" in picture("true", ["<nothing>"]) and "&lt;nothing&gt;" in picture("true", ["<nothing>"])
    True
    """
    shown = [f"$ {command}", *lines]
    width = round(2 * EDGE + COLUMN * max(map(len, shown)))
    height = 2 * EDGE + LINE * len(shown)
    text = "\n".join(
        f'<text x="{EDGE}" y="{EDGE + LINE * number + 12}" fill="{_colour(line)}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(shown)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<rect width="{width}" height="{height}" rx="8" fill="#16191f"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12">
{text}
</g>
</svg>
"""


def _colour(line: str) -> str:
    if line.startswith("$"):
        return "#7fd1b9"
    if line.lstrip().startswith(">>"):
        return "#ff9b85"
    return "#e6e6e6" if line.startswith("  ") else "#a9b4c2"


def main() -> None:
    """Run the demo, show it meanwhile, and print the picture; a demo that fails has no picture."""
    done = subprocess.run([sys.executable, "-m", "tally", "demo"], stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, file=sys.stderr)
    print(picture("make demo", done.stdout.rstrip().splitlines()), end="")


if __name__ == "__main__":
    main()
