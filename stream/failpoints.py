"""Places where a test may kill the process: `hit("after_fold")` does nothing unless the environment arms it.

`TALLY_FAILPOINT=name:n` sends SIGKILL to the own process at the n-th time (from 1) that `name` is passed, after
appending one line `name n` to the file in `TALLY_FAILPOINT_LOG`, so that a parent can count the hits. A real
SIGKILL, not an exception: nothing is flushed, no `finally` runs, which is what a power cut or the OOM killer does.
"""

import os
import signal
from collections.abc import Callable

#: Every failpoint there is. A name that is not listed cannot be armed, so that a test that misspells one fails.
NAMES = (
    "after_fold",  # a block is in memory, nothing of it in the changelog
    "after_produce",  # the commit's records are sent, not yet acknowledged
    "before_end",  # all acknowledged, the transaction not yet ended
    "after_end",  # committed, nothing of it in Redis
    "between_publishes",  # some customers of a commit are in Redis, others not
    "after_publish",  # the last chunk is in Redis, the source offset not yet acknowledged
    "takeover_before_fence",  # assigned, the old owner not yet shut out
    "takeover_after_fence",  # shut out, nothing recovered
    "during_recovery",  # half of the changelog is read
)


def _nothing(name: str) -> None:
    """Stand in for `hit` where no failpoint is armed."""


def _armed(spec: str, log: str | None) -> Callable[[str], None]:
    """Build the `hit` that kills at the place that `spec` names.

    Raises:
        ValueError: `spec` is not `name:n` with a name of `NAMES` and n of at least 1.

    """
    wanted, _, count = spec.partition(":")
    left = int(count or "1")
    if wanted not in NAMES or left < 1:
        msg = f"TALLY_FAILPOINT={spec!r}: use name:n with n >= 1 and a name of {', '.join(NAMES)}"
        raise ValueError(msg)

    def hit(name: str) -> None:
        nonlocal left
        if name != wanted:
            return
        left -= 1
        if left:
            return
        if log:
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.write(fd, f"{spec} {os.getpid()}\n".encode())
            os.fsync(fd)
        os.kill(os.getpid(), signal.SIGKILL)

    return hit


_spec = os.environ.get("TALLY_FAILPOINT")

#: Call with a name of `NAMES` at the place that the name describes.
hit: Callable[[str], None] = _armed(_spec, os.environ.get("TALLY_FAILPOINT_LOG")) if _spec else _nothing
