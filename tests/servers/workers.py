"""`tally worker` as a process of its own, and a Prometheus that scrapes it."""

import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tally.servers import Server, ServerError

ROOT = Path(__file__).parents[2]


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


class Worker(Server):
    """One worker; kill(), pause() and start() as with any server. `start` waits until it is ready.

    Args:
        environment: the TALLY_ variables; TALLY_LISTEN and TALLY_DATA are set here.
        arguments: of `tally worker`.
    """

    name = "worker"
    grace_s = 20.0
    starts_within_s = 60.0

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        arguments: Sequence[str] = (),
        directory: Path | None = None,
    ) -> None:
        super().__init__(directory=directory)
        self.arguments = arguments
        self._environment = dict(environment)

    def command(self) -> Sequence[str]:
        """Run the installed command."""
        return [str(Path(sys.executable).with_name("tally")), "worker", *self.arguments]

    def environment(self) -> Mapping[str, str]:
        """Add its own address and directory to the given variables; no TALLY_ variable leaks in from outside."""
        outside = {key: value for key, value in os.environ.items() if not key.startswith("TALLY_") or "_CI_" in key}
        own = {"TALLY_LISTEN": self.address, "TALLY_DATA": str(self.directory / "data")}
        return {**outside, **own, **self._environment}

    def ready(self) -> bool:
        """Its partitions are recovered and Redis holds their totals."""
        return answers(f"http://{self.address}/healthz/ready")


class Prometheus(Server):
    """Prometheus with the project's own configuration and rules, scraping these addresses every second."""

    name = "prometheus"

    def __init__(self, targets: Sequence[str]) -> None:
        super().__init__()
        self.targets = targets

    def command(self) -> Sequence[str]:
        """Copy deploy/prometheus with other targets and a shorter interval, and run on it."""
        program = shutil.which("prometheus")
        if program is None:
            raise ServerError("no prometheus: apt-get install prometheus")
        folder = self.directory / "config"
        shutil.copytree(ROOT / "deploy" / "prometheus", folder, dirs_exist_ok=True)
        config = folder / "prometheus.yml"
        text = config.read_text().replace('["worker-1:6066", "worker-2:6066"]', str(list(self.targets)))
        config.write_text(text.replace("_interval: 5s", "_interval: 1s"))
        data = str(self.directory / "data")
        listen = f"--web.listen-address={self.address}"
        return [program, f"--config.file={config}", f"--storage.tsdb.path={data}", listen]

    def ready(self) -> bool:
        """It has loaded its data and its rules."""
        return answers(f"http://{self.address}/-/ready")
