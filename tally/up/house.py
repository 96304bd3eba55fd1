"""Everything on embedded servers, in one process's care: Kafka, Redis and workers, until somebody ends it.

A worker that dies is started again, and so are all of them when the metrics file has changed. Nothing outlives this
process: each server has a keeper (keeper.py).
"""

import shlex
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from schemas.faults import Faults
from stream.settings import Settings
from tally.definitions import load
from tally.processes import WorkerProcess
from tally.servers import HOST, EmbeddedKafka, EmbeddedRedis, ServerError

SESSION_S = 3.0  # how soon a dead worker's partitions go to another; a worker's own default is 6
LOOK_S = 0.5  # how often servers and the metrics file are looked at


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted; ports are None where any free one will do."""

    settings: Settings
    metrics: Path
    workers: int
    partitions: int
    kafka_port: int | None
    redis_port: int | None
    worker_port: int | None

    def fixed_ports(self) -> list[int]:
        """The ports that were asked for; each worker after the first has the next one."""
        first = self.worker_port
        of_workers = [] if first is None else list(range(first, first + self.workers))
        return [port for port in (self.kafka_port, self.redis_port) if port is not None] + of_workers


class House:
    """The servers and workers of a plan; a context manager. `say` gets what happens afterwards, a line each."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._stack = ExitStack()
        self.kafka = EmbeddedKafka(port=plan.kafka_port)
        self.redis = EmbeddedRedis(port=plan.redis_port)
        self.workers: list[WorkerProcess] = []
        self._written = stamp(plan.metrics)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in (self.kafka, self.redis):
                stack.enter_context(server)
            first = self._plan.worker_port
            for number in range(self._plan.workers):
                port = None if first is None else first + number
                worker = WorkerProcess(self.environment(), SESSION_S, port=port)
                stack.callback(worker.stop)
                self.workers.append(worker)
            self._start_workers()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self) -> dict[str, str]:
        """What a command needs to find these servers; the other settings are this process's own."""
        return {
            "TALLY_KAFKA": self.kafka.bootstrap,
            "TALLY_REDIS": self.redis.url,
            "TALLY_METRICS": str(self._plan.metrics.resolve()),
            "TALLY_APP": self._plan.settings.app,
            "TALLY_PARTITIONS": str(self._plan.partitions),
            "TALLY_ADVERTISE": "",  # each worker has an address of its own
        }

    def about(self) -> dict[str, Any]:
        """The addresses, as `--json` prints them."""
        return {
            "kafka": self.kafka.bootstrap,
            "redis": self.redis.url,
            "topic": self._plan.settings.events_topic,
            "app": self._plan.settings.app,
            "partitions": self._plan.partitions,
            "metrics": str(self._plan.metrics.resolve()),
            "workers": [{"address": worker.address, "pid": worker.pid} for worker in self.workers],
        }

    def look(self) -> None:
        """Start again what has died, and everything that counts when the metrics file has changed.

        Raises ServerError where Kafka or Redis has ended, which held all in memory, or a worker does not start.
        """
        for server in (self.kafka, self.redis):
            if not server.alive():
                raise ServerError(
                    f"{server.name} has ended, and what it held is gone; it logged last:\n{server.said()[-2000:]}"
                )
        if (written := stamp(self._plan.metrics)) != self._written:
            self._written = written
            self._changed()
        for number, worker in enumerate(self.workers, 1):
            if not worker.alive():
                gone = worker.pid
                worker.start()
                self._say(f"worker {number} (process {gone}) had died; started again as process {worker.pid}.")

    def watch(self) -> None:
        """Look until an exception ends it: KeyboardInterrupt, or those of `look`."""
        while True:
            time.sleep(LOOK_S)
            self.look()

    def _changed(self) -> None:
        name = self._plan.metrics
        if not name.exists():
            self._say(f"{name} is gone; the workers go on with what they have read.")
            return
        try:
            load(name)
        except Faults as found:
            self._say("\n".join([f"{name} has faults; the workers go on with what they have read:", *found.lines()]))
            return
        self._start_workers()
        now = ", ".join(f"worker {number} is process {worker.pid}" for number, worker in enumerate(self.workers, 1))
        self._say(f"{name} has changed, and the workers count by it from here on: {now}")

    def _start_workers(self) -> None:
        """All at once, ending first those that run; and in this thread, so that Ctrl-C ends the waiting."""
        for worker in self.workers:
            worker.launch()
        for worker in self.workers:
            worker.await_ready()


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written: its time and size; None where it is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def taken(ports: list[int]) -> list[int]:
    """Those of these ports on which somebody listens already."""
    found = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
            try:
                probe.bind((HOST, port))
            except OSError:
                found.append(port)
    return found


def exports(environment: dict[str, str], wanted: tuple[str, ...]) -> str:
    """The line that another terminal needs."""
    return "export " + " ".join(f"{name}={shlex.quote(environment[name])}" for name in wanted)
