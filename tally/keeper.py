"""Stands between Tallystream and one server that it started, so that the server never outlives it.

Run as a program: `python -I -S keeper.py --log FILE [--remove DIR] [--grace SECONDS] -- COMMAND...`.

It starts COMMAND and prints its process id. When standard input ends, or this process has got another parent
(the one that started it is done, or was killed with SIGKILL), COMMAND gets SIGTERM, and SIGKILL after the
grace; then DIR is removed with all it holds, unless `keep` came in by standard input. Where COMMAND ends by
itself, the keeper reaps it and waits on, since DIR is still its own.

A parent-death signal alone would not do: it is sent when the *thread* ends that forked, and does not exist
outside Linux. It is used one step further down, for the case that the keeper itself is killed.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
# How soon a new parent is noticed where standard input stays open because a fork of the parent holds it.
LOOK_S = 0.5


def die_with_keeper() -> None:
    """In the child, before exec: ask Linux to kill it when the keeper dies. Elsewhere there is no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait(server: subprocess.Popen[bytes], parent: int) -> bool:
    """Return when standard input has ended or the parent has changed; whether DIR may be removed."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    said = b""
    while os.getppid() == parent:
        server.poll()  # reaps, so that the one who watches the process id sees it go
        ready, _, _ = select.select([0, woken], [], [], LOOK_S)
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            heard = os.read(0, 4096)
            if not heard:
                break
            said += heard
    return b"keep" not in said


def end(server: subprocess.Popen[bytes], grace_s: float) -> None:
    """SIGTERM, then SIGKILL after `grace_s` seconds. A stopped server (SIGSTOP) is woken to hear it."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)
        try:
            server.wait(grace_s)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def main(arguments: Sequence[str]) -> None:
    """Keep one server until its owner has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--remove")
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Only the parent's end ends us. A handler and not SIG_IGN, which the server would inherit.
        signal.signal(number, lambda *_: None)
    with open(options.log, "ab") as log:  # noqa: PTH123 - importing pathlib would double the start-up time
        server = subprocess.Popen(
            options.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_keeper,  # noqa: PLW1509 - the keeper has one thread
        )
    print(server.pid, flush=True)
    may_remove = wait(server, parent)
    end(server, options.grace)
    if may_remove and options.remove:
        shutil.rmtree(options.remove, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
