"""Faults to seed into the Lua scripts: each a text, what takes its place, and which promise that breaks.

`python -m tests.contract.gate.mutants` runs the contract tests against each and says which were found; every one must
be. `python -m tests.contract.gate.mutants NAME ...` runs some.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

MUTANTS: dict[str, tuple[str, str]] = {
    # gate.lua: what is allowed
    "the limit itself is refused": (
        "found.shown + found.reserved + found.cost <= limit.l",
        "found.shown + found.reserved + found.cost < limit.l",
    ),
    "holds are not counted": ("found.shown + found.reserved + found.cost <=", "found.shown + found.cost <="),
    "the cost is not counted": ("found.shown + found.reserved + found.cost <=", "found.shown + found.reserved <="),
    "the last limit decides alone": ("refused = refused or found.refuses", "refused = found.refuses"),
    "a soft limit refuses": ("found.refuses = not passes and limit.m ~= 's'", "found.refuses = not passes"),
    "the most remaining is answered for": ("found.rank < best.rank", "found.rank > best.rank"),
    "remaining is compared without its decimals": ("found.remaining / 10 ^ found.limit.p", "found.remaining"),
    "used is rounded down": ("(amount - rest) / step + (rest > 0 and 1 or 0)", "(amount - rest) / step"),
    "a cost is rounded down": ("    amount = amount + 1\n", "\n"),
    "a grouped line is held to its group only": ("  overall.cost = overall.cost + cost", "  overall.cost = 0"),
    "a group's limit is that of the metric": (
        "mine, shared = mine and mine.g and mine.g[group], shared.g and shared.g[group]",
        "mine, shared = mine and mine.o, shared.o",
    ),
    "the limit for all beside the customer's": ("taken = taken or mine[i].w == limit.w", "taken = false"),
    "the customer's limits in no window but theirs": ("taken = taken or mine[i].w == limit.w", "taken = true"),
    "a wrong group has no limit": ("  if count ~= 0 then", "  if false then"),
    "an unknown metric is allowed": (
        "return answer('answer', false, 'unknown_metric'",
        "return answer('answer', true, 'no_limit'",
    ),
    "a window's end belongs to it": (
        "if start <= seconds and seconds < stop then",
        "if start <= seconds and seconds <= stop then",
    ),
    "the calendar's window ends late": ("math.min(start + span[3], span[2])", "start + 2 * span[3]"),
    "a total of another form is zero": (
        "local known = not row or string.sub(row, 1, 6) == '{\"w\":{'",
        "local known = true",
    ),
    "a total of all time is another window's": ("from + 8)", "from + 9)"),
    # staleness
    "stale totals are fresh": ("or lag > tonumber(", "or false and lag > tonumber("),
    "stale a moment too early": ("or lag > tonumber(", "or lag >= tonumber("),
    "an unfinished refill is complete": ("status[4] == '1', status[5]", "true, status[5]"),
    "a refill without limits has none": ("if not revision then", "revision = revision or ''\nif false then"),
    "a clock ahead is fresh for ever": ("or lag < -1000000 ", ""),
    "what is stale always denies": ("'stale', limit.s ~= 'a'", "'stale', true"),
    "an unscaled total is zero": ("return start, stop, tonumber(amount)", "return start, stop, tonumber(amount) or 0"),
    # holds
    "a hold lapses by the clock": ("'-inf', status[3], 'LIMIT', 0, 1000", "'-inf', int(now), 'LIMIT', 0, 1000"),
    "a hold lapses a moment too late": (
        "'-inf', status[3], 'LIMIT', 0, 1000",
        "'-inf', '(' .. status[3], 'LIMIT', 0, 1000",
    ),
    "a hold never lapses for a check": ("lapsed[id] = true", "lapsed[id] = nil"),
    "the same id is taken again": (
        "local taken = op == 'reserve' and not refused and not already",
        "local taken = op == 'reserve' and not refused",
    ),
    "a settled id is admitted": ("allowed, reason = false, 'settled'", "allowed, reason = true, 'settled'"),
    "other lines are the same hold": ("if not same or i <= #ARGV then", "if false then"),
    "more lines are the same hold": ("if not same or i <= #ARGV then", "if not same then"),
    "a hold of no sum": (
        "redis.call('HINCRBY', KEYS[3], each[1], each[2])",
        "redis.call('HINCRBY', KEYS[3], each[1], 0)",
    ),
    "a hold that is refused stays": (
        "local taken = op == 'reserve' and not refused and not already",
        "local taken = op == 'reserve' and not already",
    ),
    "a check takes a hold": ("local taken = op == 'reserve' and not refused", "local taken = not refused"),
    "a group's hold does not count overall": ("  count('+', name, false)\n", "\n"),
    "a group's hold does not count in the group": (
        "  if field ~= name then\n    count(",
        "  if false then\n    count(",
    ),
    "a repeated hold lives longer": (
        "if taken then\n  at = int(now)",
        "if already and already ~= 'S' then redis.call('ZADD', KEYS[4], int(now + ARGV[7]), ARGV[6]) end\nif taken then\n  at = int(now)",
    ),
    "sums of former limits are kept": ("if stamped and stamped ~= stamp then", "if false then"),
    "sums of former limits are not replaced": (
        "      if op == 'reserve' then\n        redis.call('HDEL', KEYS[3], name)\n      end",
        "",
    ),
    "holds of before stay in the new window": (
        "string.sub(kind, 1, 2) .. int(start))",
        "string.sub(kind, 1, 2) .. '1')",
    ),
    "the event's time is another": (
        "allowed, at = true, string.match(already, '^%d+')",
        "allowed, at = true, int(now)",
    ),
    # holds.lua, publish.lua, release.lua, sweep.lua
    "settling gives nothing back": ("if hold and hold ~= 'S' then\n      give_back", "if false then\n      give_back"),
    "settling gives back each time": (
        "    redis.call('HSET', holds, field, 'S')\n    redis.call('ZADD', deadlines, forgotten, id)",
        "    redis.call('ZADD', deadlines, forgotten, id)",
    ),
    "a settled id is forgotten at once": ("time[1] * 1000000 + time[2] + ARGV[7]", "time[1] * 1000000 + time[2]"),
    "an event without a hold settles nothing": (
        "redis.call('HSET', holds, field, 'S')",
        "if hold then redis.call('HSET', holds, field, 'S') end",
    ),
    "only the first window is given back": (
        "      each_sum('=' .. window .. ' ' .. name, amount == '' and cost or amount)",
        "      each_sum('=' .. window .. ' ' .. name, amount == '' and cost or amount)\n      return",
    ),
    "a released hold keeps its place": (
        "forget(KEYS[3], KEYS[4], ARGV[4])",
        "redis.call('HDEL', KEYS[3], '#' .. ARGV[4])",
    ),
    "a settled hold can be released": ("if hold == 'S' then\n  return {'answer', '0', 'settled'}\nend", ""),
    "a lapsed hold is released": ("if lapsed then", "if false then"),
    "what is swept keeps its place": (
        "    give_back(holds, hold)\n  end\n  redis.call('HDEL'",
        "  end\n  redis.call('HDEL'",
    ),
    "the sweep leaves the last keys": (
        "    redis.call('ZREM', due, customer)\n    redis.call('DEL', holds)",
        "    redis.call('ZREM', due, customer)",
    ),
    "a whole publication drops the limits": ("if known[2] then redis.call('HSET', totals, ':l', known[2]) end", ""),
    "other decimals are complete": ("redis.call('HDEL', status, 'c', 'v', 'f')", ""),
    "aliases are not followed": (
        "if totals[1] then\n  return {'alias', totals[1]}",
        "if false then\n  return {'alias', totals[1]}",
    ),
    "another number of partitions is not seen": (
        "if status[1] ~= ARGV[2] or status[2] ~= ARGV[3] then\n  return {'layout', status[1], status[2]}\nend\n\n-- 2.",
        "-- 2.",
    ),
}


def patch(name: str) -> Callable[[str], str]:
    """What a mutant does to a script's text."""
    old, new = MUTANTS[name]

    def change(text: str) -> str:
        return text.replace(old, new)

    return change


def seeded() -> Callable[[str], str]:
    """The mutant that the environment names, or no change."""
    name = os.environ.get("TALLY_TEST_MUTANT")
    return patch(name) if name else str


def found(name: str) -> tuple[bool, str]:
    """Whether a contract test fails with this mutant, and what pytest said last."""
    tests = ["tests/contract/gate", "-q", "-x", "-k", "not fake and not asyncio and not cluster and not redis]"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *tests, "-p", "no:cacheprovider"],
        env={**os.environ, "TALLY_TEST_MUTANT": name},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    return run.returncode == 1 and bool(lines), (lines or run.stdout.splitlines() or [run.stderr])[-1]


def main() -> int:
    """Run every mutant, or those named; 1 when one lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", default=list(MUTANTS))
    alive = 0
    for name in parser.parse_args().name:
        dead, why = found(name)
        alive += not dead
        print(f"{'found' if dead else 'ALIVE'}  {name:48}  {why.removeprefix('FAILED ')[:120]}", flush=True)
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
