"""SIGKILL at every failpoint while events flow: the recount is equal every time."""

import os
from collections import Counter
from pathlib import Path

import pytest

from stream.failpoints import NAMES
from tests.chaos.stage import Stage, stage, wait_for
from tests.servers.fixtures import need
from tests.servers.kafka import Kafka
from tests.servers.stores import Redis

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("TALLY_CHAOS_ROUNDS", "1"))

PASSES = {
    "after_fold": 40,
    "after_produce": 40,
    "before_end": 40,
    "after_end": 40,
    "after_publish": 40,
    "between_publishes": 1,
    "takeover_before_fence": 1,
    "takeover_after_fence": 1,
    "during_recovery": 1,
}
"""The how-manieth pass kills: in mid-stream for what each block passes, at once for what a takeover passes."""


def hits(log: Path) -> Counter[str]:
    """Count the kills that were written down, by failpoint."""
    return Counter(line.split(":")[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def one_round(act: Stage, name: str, number: int, log: Path) -> None:
    """Let a third worker join, be killed at the failpoint, and the two others carry on."""
    before = hits(log)[name]
    act.during = name
    spec = f"{name}:{PASSES[name] + number if PASSES[name] > 1 else 1}"
    victim = act.worker(f"victim-{name}-{number}", TALLY_FAILPOINT=spec, TALLY_FAILPOINT_LOG=str(log))
    if name == "between_publishes":
        # With few customers in a commit only a refill needs several calls: empty Redis once the victim has a share.
        wait_for(lambda: "running from offset" in act.log(f"victim-{name}-{number}"), "the third worker's share")
        act.flush()
    wait_for(lambda: victim.poll() is not None, f"{name} to be hit")
    assert victim.returncode == -9, act.log(f"victim-{name}-{number}")[-3000:]
    assert hits(log)[name] == before + 1
    wait_for(act.ready, "the two others to carry on")


def test_every_failpoint_is_hit_and_the_recount_is_equal(kafka: Kafka, unique: str, tmp_path: Path) -> None:
    """Two workers, 1,200 events a second, a third that joins and dies at each failpoint: no total is ever wrong."""
    log = tmp_path / "hits"
    assert set(PASSES) == set(NAMES)
    with need(Redis)() as own, stage(kafka.bootstrap, own.url, unique, tmp_path) as act:
        act.look_every *= ROUNDS  # as many pairs whatever the rounds: to hold them against the recount takes longest
        act.worker("a")
        act.worker("b")
        wait_for(act.ready, "two workers")
        act.flow()
        for number in range(ROUNDS):
            for name in NAMES:
                one_round(act, name, number, log)
            act.prove()
            act.resume()
        act.prove()
        pairs = act.prove_samples()
        entries = act.rejected()
        assert set(entries) == act.refused
        assert set(entries.values()) == {1}, "an entry stands twice"
        assert {p.poll() for n, p in act.workers.items() if n in "ab"} == {None}, "the two others never restarted"
    found = hits(log)
    print(f"\n{'failpoint':24}{'SIGKILLs':>9}{'pairs read meanwhile':>22}{'wrong':>7}")
    for name in NAMES:
        print(f"{name:24}{found[name]:9}{pairs[name]:22}{0:7}")
    print(f"{act.sent} events sent, {sum(pairs.values())} pairs (totals, position) held against the recount")
    assert all(found[name] >= ROUNDS for name in NAMES)
    assert sum(pairs.values()) >= 10_000
    assert all(pairs[name] > 0 for name in NAMES)
