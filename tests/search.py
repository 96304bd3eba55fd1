"""Search at random for a difference between the product and the judge, for as long as told.

    python -m tests.search --minutes 60 --seed 7

Every case is made from one number, so a case that it prints is found again with `--case NUMBER`.
Prints counts as it goes, each difference once with the smallest case, and exits 1 if it found any.
"""

import argparse
import re
import sys
import time
from collections import Counter
from random import Random

from tests.against import compare
from tests.generators.cases import Case, make_case, shrink
from tests.generators.definitions import FEATURES


def main() -> int:
    """Run the search; the exit code is 1 when a difference was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="run only the case of this number")
    parser.add_argument("--most", type=int, default=25, help="lines in a case, at most")
    parser.add_argument("--stop", type=int, default=10, help="stop after so many differences")
    parser.add_argument("--without", default="", help=f"features to leave out, of {', '.join(sorted(FEATURES))}")
    parser.add_argument("--known", help="a pattern of differences to count but not to show")
    told = parser.parse_args()
    features = FEATURES - set(told.without.split(","))
    if told.case is not None:
        return 1 if report(told.case, make_case(Random(told.case), features, told.most)) else 0
    started, ran, counts = time.monotonic(), 0, Counter[str]()
    found = 0
    while time.monotonic() - started < told.minutes * 60 and found < told.stop:
        number = told.seed * 1_000_000_000 + ran
        case = make_case(Random(number), features, told.most)
        counts.update(contents(case))
        said = compare(case)
        if said is not None and told.known and re.search(told.known, said):
            counts["known differences"] += 1
        elif said is not None:
            found += report(number, case)
        ran += 1
        if ran % 1_000 == 0:
            print(f"{ran} cases, {found} differences, {time.monotonic() - started:.0f} s", flush=True)
    seconds = time.monotonic() - started
    print(f"seed {told.seed}: {ran} cases in {seconds:.0f} s, {counts['lines']} lines, {found} differences")
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if name != "lines"))
    return 1 if found else 0


def report(number: int, case: Case) -> bool:
    """Compare one case; print the smallest form of it where they differ."""
    if compare(case) is None:
        return False
    smallest = shrink(case, lambda smaller: compare(smaller) is not None)
    print(f"case {number}: {compare(smallest)}\n{smallest!r}\n", flush=True)
    return True


def contents(case: Case) -> Counter[str]:
    """How often each kind of metric stands in a case, and its lines."""
    counts = Counter({"lines": len(case.lines)})
    for metric in case.definitions["metrics"].values():
        counts[f"{'sliding ' if metric.get('sliding') else ''}{metric['type']} {metric['aggregation']}"] += 1
    return counts


if __name__ == "__main__":
    sys.exit(main())
