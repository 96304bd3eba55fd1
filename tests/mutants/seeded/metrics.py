"""Faults of the metric types, of numbers and of the calendar."""

from tests.mutants.catalogue import Mutant

MUTANTS = (
    Mutant(
        "stream/core/metrics/rate.py",
        "        return value if rest is None or value > rest else rest",
        "        return value if rest is None or value < rest else rest",
        "a rate's total is its least sub-period",
    ),
    Mutant(
        "stream/core/metrics/trail.py",
        "        first = bisect_right(self.seconds, second - self.unit, 0, index)\n        if previous",
        "        first = bisect_left(self.seconds, second - self.unit, 0, index)\n        if previous",
        "a sliding rate looks back one second too far",
    ),
    Mutant(
        "stream/core/metrics/sliding.py",
        "        second = us // SECOND_US\n        if second > self._trail.last:",
        "        second = us // SECOND_US\n        if second >= self._trail.last:",
        "a sliding rate settles its newest second too early",
    ),
    Mutant(
        "stream/core/metrics/sliding.py",
        "        too_late = us < clock_us - self._metric.late_us",
        "        too_late = us <= clock_us - self._metric.late_us",
        "an event exactly as late as allowed is left out of a sliding rate",
    ),
    Mutant(
        "stream/core/metrics/lanes.py",
        "        before = steps[at - 1][OPERAND] if at else self._start if lane.base is None else lane.base",
        "        before = steps[at - 1][OPERAND] if at else self._start",
        "a gauge's group loses its state when old events settle",
    ),
    Mutant(
        "stream/core/metrics/lanes.py",
        "            joins = place == 0 and lane.base is None",
        "            joins = place == 0",
        "a group joins with the initial value again and again",
    ),
    Mutant(
        "stream/core/metrics/lanes.py",
        "            step[MOVE] = bool(holders) - before",
        "            step[MOVE] = 1 if step[OPERAND][1] else -1",
        "an object in two groups counts twice",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "            if us > track.start:\n                track.acc = track.measure.held(None, self.initial, track.start, us)",
        "            if us > track.start:\n                pass",
        "the initial value before the first event is lost",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "        if us > track.start:\n            track.acc = track.measure.held(None, state, track.start, us)",
        "        if us >= track.start:\n            track.acc = track.measure.held(None, state, track.start, us)",
        "a change exactly at a window's start does not replace what was carried in",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "                    if us < track.end:",
        "                    if us <= track.end:",
        "a window's end is included",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "            return self.constant(track, self.sum, start, end), 0",
        "            return self.constant(track, 0, start, end), 0",
        "the carried state is lost in a window without events",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "        return None if before is None else (self.constant(track, before[2], start, end), 0)",
        "        return None if before is None else (self.constant(track, before[1], start, end), 0)",
        "a quiet window carries the total of the one before instead of its last state",
    ),
    Mutant(
        "stream/core/metrics/timeline.py",
        "                self._checkpoints.append((place, self._snapshot()))\n            step = steps[place]",
        "                self._checkpoints.append((place + 1, self._snapshot()))\n            step = steps[place]",
        "a checkpoint is off by one event",
    ),
    Mutant(
        "stream/core/metrics/measures.py",
        "        return state if acc is None or state < acc else acc",
        "        return state if acc is None or state <= acc and acc > 0 else acc",
        "the least state forgets negatives",
    ),
    Mutant(
        "stream/core/metrics/measures.py",
        "        return Fraction(acc) / (end - start)",
        "        return Fraction(acc) / (end - start + 1)",
        "weighted_sum divides by another length",
    ),
    Mutant(
        "stream/core/metrics/measures.py",
        "        top = max(top, state)\n",
        "        top = state\n",
        "a prorated bucket takes its last state instead of its greatest",
    ),
    Mutant(
        "stream/core/metrics/counter.py",
        "        if acc is None or us > acc[0] or (us == acc[0] and order > acc[1]):",
        "        if acc is None or us > acc[0] or (us == acc[0] and order < acc[1]):",
        "on a tie the earlier event is the latest",
    ),
    Mutant(
        "stream/core/metrics/rounding.py",
        '"round": ROUND_HALF_UP',
        '"round": "ROUND_HALF_EVEN"',
        "round is half-even instead of half away from zero",
    ),
    Mutant(
        "stream/core/text.py",
        "    return Decimal(round(value * 10**DIGITS)).scaleb(-DIGITS, WIDE)",
        "    return Decimal(int(value * 10**DIGITS)).scaleb(-DIGITS, WIDE)",
        "what has no finite decimal is cut instead of rounded",
    ),
    Mutant(
        "stream/core/numbers.py",
        "LIMIT = 10**36\n",
        "LIMIT = 10**36 + 1\n",
        "10^36 is accepted",
    ),
    Mutant(
        "stream/core/metrics/gauge_state.py",
        "        if metric.late_us is not None and us < clock_us - metric.late_us:",
        "        if metric.late_us is not None and us <= clock_us - metric.late_us:",
        "an event exactly as late as allowed is left out of a gauge",
    ),
    Mutant(
        "stream/core/metrics/gauge_state.py",
        "            total += Fraction(top) * (min(ends, end) - at) / (unit_end - unit_start)",
        "            total += Fraction(top) * (ends - begun) / (unit_end - unit_start)",
        "a bucket that sticks out of its window counts whole",
    ),
    Mutant(
        "stream/core/calendar.py",
        "        return (us, *self._starts(second))",
        "        return (us, *self._starts(second + 1))",
        "an event in a window's last second falls into the next one",
    ),
    Mutant(
        "stream/core/calendar.py",
        "            return day - (day + 3) % 7  # day 0 was a Thursday",
        "            return day - (day + 4) % 7  # day 0 was a Thursday",
        "weeks start on Sunday",
    ),
)
