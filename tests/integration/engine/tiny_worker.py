"""A worker process with the tiny state: python -m tests.integration.engine.tiny_worker BOOTSTRAP APP PARTITIONS."""

import logging
import sys

from agents import attach
from stream.engine.app import App, Engine, Session
from stream.engine.process import run
from tests.integration.engine.tiny import NoPublisher, TinyState


def main(bootstrap: str, name: str, partitions: str) -> None:
    """Run until stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    engine = Engine(
        name=name,
        bootstrap=bootstrap,
        events_topic=f"{name}-events",
        rejected_topic=f"{name}-rejected",
        alerts_topic=f"{name}-alerts",
        partitions=int(partitions),
        datadir=f"/tmp/{name}",
        partition=TinyState,
        publisher=lambda *_: NoPublisher(),
        session=Session(timeout=3.0, heartbeat=0.5),
    )
    app = App(engine)
    attach(app)
    run(app)


if __name__ == "__main__":
    main(*sys.argv[1:])
