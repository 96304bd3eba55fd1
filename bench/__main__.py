"""`make bench`: the same job on us and on our peers, on Apache Kafka and Redis, in one run.

python -m bench [throughput|latency|recovery|types|all] [--events N] [--json FILE]

Without any server: what a metric costs beside a counter, and how fast a file is simulated.

python -m bench metrics|simulate [--events N] [--rounds N] [--json FILE]
"""

import argparse
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tests.servers.kafka import Kafka
from tests.servers.stores import Redis

ON_SERVERS = ("throughput", "latency", "recovery", "types")
ALONE = ("metrics", "simulate")


@contextlib.contextmanager
def servers() -> Iterator[tuple[str, str]]:
    """Start Kafka (or use TALLY_TEST_KAFKA) and Redis."""
    with contextlib.ExitStack() as stack:
        bootstrap = os.environ.get("TALLY_TEST_KAFKA") or stack.enter_context(Kafka()).bootstrap
        yield bootstrap, stack.enter_context(Redis()).url


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="all", choices=[*ON_SERVERS, *ALONE, "all"])
    parser.add_argument("--events", type=int, help="events of a run: 2,000,000 for throughput, fewer for the others")
    parser.add_argument("--rounds", type=int, default=3, help="how often latency, types, metrics and simulate measure")
    parser.add_argument("--only", help="with metrics: this job beside the counters, such as gauge")
    parser.add_argument(
        "--stock-events", type=int, default=60_000, help="events, or rows to recover, that stock Faust gets"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the recovery run")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    wanted = parser.parse_args()
    figures = alone(wanted) if wanted.what in ALONE else on_servers(wanted)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def alone(wanted: argparse.Namespace) -> dict[str, object]:
    """Measure what needs no server."""
    if wanted.what == "metrics":
        from bench.metrics import run as metrics

        return {"metrics": metrics(wanted.events or 400_000, wanted.rounds, wanted.only)}
    from bench.simulate import run as simulate

    return {"simulate": simulate(wanted.events or 500_000, wanted.rounds)}


def on_servers(wanted: argparse.Namespace) -> dict[str, object]:
    """Measure what a whole worker does."""
    from bench.each_type import run as types
    from bench.latency import run as latency
    from bench.recovery import run as recovery
    from bench.throughput import run as throughput

    figures: dict[str, object] = {}
    with servers() as (bootstrap, redis):
        if wanted.what in {"throughput", "all"}:
            figures["throughput"] = throughput(bootstrap, redis, wanted.events or 2_000_000, wanted.stock_events)
        if wanted.what in {"latency", "all"}:
            figures["latency"] = latency(bootstrap, redis, wanted.rounds)
        if wanted.what in {"recovery", "all"}:
            figures["recovery"] = recovery(bootstrap, redis, wanted.rows, wanted.stock_events)
        if wanted.what in {"types", "all"}:
            figures["types"] = types(bootstrap, redis, wanted.events or 400_000, wanted.rounds)
    return figures


if __name__ == "__main__":
    main()
