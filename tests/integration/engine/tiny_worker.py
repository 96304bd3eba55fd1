"""A worker process with the tiny state: python -m tests.integration.engine.tiny_worker BOOTSTRAP APP PARTITIONS."""

import asyncio
import logging
import sys

import uvloop
from faust import Worker

from agents import attach
from stream.engine.app import App, Engine, Session
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
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    Worker(
        app, loop=loop, quiet=True, loglevel=None, redirect_stdouts=False, override_logging=False
    ).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:])
