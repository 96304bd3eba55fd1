"""Faults of the fold: verdicts, windows, rows, the commit and the takeover of the pure core."""

from tests.mutants.catalogue import PARTS, Mutant

MUTANTS = (
    Mutant(
        "stream/core/chunks.py",
        "        return any(at < i and at not in self.dropped for at in self.places[self.hashes[i]])",
        "        return False",
        "two events of one id in one chunk both count",
    ),
    Mutant(
        "stream/core/chunks.py",
        "        return any(at < i and at not in self.dropped for at in self.places[self.hashes[i]])",
        "        return any(at < i for at in self.places[self.hashes[i]])",
        "a rejected event leaves its id behind",
    ),
    Mutant(
        "stream/core/verdicts.py",
        "if us < clock_us - self.rules.max_age_us:",
        "if us <= clock_us - self.rules.max_age_us:",
        "an event exactly max_age old is refused",
    ),
    Mutant(
        "stream/core/verdicts.py",
        "if us > stamped_us + self.rules.max_ahead_us:",
        "if us > clock_us + self.rules.max_ahead_us:",
        "an event may lie ahead of the clock instead of its own record",
    ),
    Mutant(
        "stream/core/folding.py",
        "                book.ids.expire(before)\n",
        "                book.ids.expire(before + 1)\n",
        "ids are forgotten an hour early",
    ),
    Mutant(
        "stream/core/verdicts.py",
        "        here = app is not None or self._home[customer] == self.book.number",
        "        here = True",
        "a record away from home is counted where it lies",
    ),
    Mutant(
        "stream/core/verdicts.py",
        "        clock_us = chunk.clock_at(i)\n        refusal",
        "        clock_us = chunk.clock_us\n        refusal",
        "the record at hand does not move the clock before its verdict",
    ),
    Mutant(
        "stream/core/metrics/base.py",
        "    return end is None or keep_us is None or clock_us < end * SECOND_US + keep_us",
        "    return end is None or keep_us is None or clock_us <= end * SECOND_US + keep_us",
        "a window is kept a microsecond too long",
    ),
    Mutant(
        "stream/core/rows.py",
        "                if start >= floors[cell.n]:\n                    kept_.append(cell)",
        "                if start > floors[cell.n]:\n                    kept_.append(cell)",
        "the window that ended last leaves Redis",
    ),
    Mutant(
        "stream/core/rows.py",
        "        shape.merge(row)\n        older = row.older or []",
        "        older = row.older or []",
        "the finest window never joins the longer ones",
    ),
    Mutant(
        "stream/core/codegen.py",
        "if {value} is None or us >= {value}: {value} = us",
        "if {value} is None or us > {value}: {value} = us",
        "of one instant's values the first is the latest",
    ),
    Mutant(
        "stream/core/codegen.py",
        '        out.append(f"{a[1]} + {b[1]}")',
        '        out.append(f"{b[1]}")',
        "a sum forgets its newest finest window",
    ),
    Mutant(
        "stream/core/codegen.py",
        'and (not {b[0]} or {a[1]} > {b[1]}) else {b[d]}" for d in (1, 2)]',
        'and (not {b[0]} or {a[1]} >= {b[1]}) else {b[d]}" for d in (1, 2)]',
        "of two latest values of one instant the wrong one wins when windows merge",
    ),
    Mutant(
        "stream/core/partition.py",
        "        header.term, header.number = header.term + 1, 0",
        "        header.number = 0",
        "a takeover does not raise the term",
    ),
    Mutant(
        "stream/core/groups.py",
        "LONGEST = 256\n",
        "LONGEST = 255\n",
        "a group's value of 256 bytes belongs to the overall total only",
    ),
    Mutant(
        "stream/core/filters.py",
        "            return not same(value, wanted)",
        "            return value is not None and not same(value, wanted)",
        "ne fails where the property is missing",
        PARTS,
    ),
    Mutant(
        "stream/core/verdicts.py",
        "            counts.duplicate += 1\n            chunk.dropped.add(i)\n            return",
        "            counts.duplicate += 1\n            chunk.dropped.add(i)",
        "a duplicate is counted",
    ),
    Mutant(
        "stream/core/partition.py",
        "            whole = dict.fromkeys(itertools.islice(marks.marked, most))",
        "            whole = dict.fromkeys(itertools.islice(marks.marked, 1, most))",
        "after a takeover one customer waits for ever",
    ),
    Mutant(
        "stream/core/upserts.py",
        "        self._changed |= made\n",
        "",
        "what events contributed is lost with a takeover",
    ),
    Mutant(
        "stream/core/partition.py",
        "        rows += [(key, None) for key in book.gone]\n",
        "",
        "what expired is never deleted from the changelog",
    ),
    Mutant(
        "stream/core/partition.py",
        "        header.number += 1\n",
        "        header.number += 2\n",
        "a commit's number leaves a gap",
    ),
)
