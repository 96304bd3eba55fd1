"""Commands of `tally` as processes of their own, which really die: for the demo, for `tally up` and for tests."""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from tally.servers import Server


class WorkerProcess(Server):
    """`tally worker`, kept by a keeper like every server: it outlives nobody.

    Args:
        settings: the TALLY_ variables; TALLY_LISTEN and TALLY_DATA are set here.
        session_s: seconds of silence after which its partitions go to another.
        port: where it serves HTTP; a free one unless given.
    """

    name = "worker"
    starts_within_s = 60.0

    def __init__(self, settings: Mapping[str, str], session_s: float, *, port: int | None = None) -> None:
        super().__init__(port=port)
        self._settings = dict(settings)
        self._session_s = session_s

    def command(self) -> Sequence[str]:
        """The same command that an operator types, with its settings in the environment."""
        listen = {"TALLY_LISTEN": self.address, "TALLY_DATA": str(self.directory / "data")}
        pairs = [f"{name}={value}" for name, value in {**self._settings, **listen}.items()]
        worker = [sys.executable, "-m", "tally", "worker", "--session", f"{self._session_s:g}"]
        return ["env", *pairs, *worker]

    def ready(self) -> bool:
        """/healthz/ready answers 200."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/healthz/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False
