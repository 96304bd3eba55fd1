"""Running `tally` in this process, against servers of a test."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from click.testing import CliRunner

from tally.__main__ import cli


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object that `--json` printed."""
        return json.loads(self.out)


def tally(env: Mapping[str, str], *arguments: str, stdin: bytes | None = None) -> Ran:
    """Run one command; an exception that is no exit is the test's own failure."""
    done = CliRunner().invoke(cli, list(arguments), env=dict(env), input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def environment(bootstrap: str, name: str, **more: str) -> dict[str, str]:
    """Settings for an app of its own on shared servers."""
    return {
        "TALLY_KAFKA": bootstrap,
        "TALLY_APP": name,
        "TALLY_EVENTS_TOPIC": f"{name}-events",
        "TALLY_REJECTED_TOPIC": f"{name}-rejected",
        "TALLY_ALERTS_TOPIC": f"{name}-alerts",
        "TALLY_PARTITIONS": "4",
        **more,
    }
