"""Apache Kafka itself (KRaft) from Maven's jars: one node, or three; killed, paused and started again on its data."""

import base64
import contextlib
import os
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from tally.servers import HOST, Server, ServerError, free_port, kafka_answers, wait_until
from tests.servers.jars import jars

LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c{1} %m%n
"""

#: What Kafka's own start script gives (KAFKA_JVM_PERFORMANCE_OPTS): Java's own goal for a collection's pause is 200 ms.
JVM = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")

SETTINGS = {
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    # a test that forgets to create a topic should fail, not get one with another number of partitions
    "auto.create.topics.enable": "false",
    # few internal partitions, so that it starts fast
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # after a SIGKILL the controller waits this long before it lets the broker in again
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


def new_cluster_id() -> str:
    """Kafka writes ids as 16 bytes in URL-safe base64; a leading dash would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


class Node(Server):
    """One broker that is also a controller. `voters` are the controllers' ports by node id, all on loopback."""

    name = "kafka"
    grace_s = 2.0  # a quorum of three does not end in order: the last one waits for the others
    starts_within_s = 60.0

    def __init__(
        self,
        directory: Path | None = None,
        *,
        node: int = 1,
        voters: dict[int, int] | None = None,
        cluster: str | None = None,
        heap: str = "1g",
        settings: dict[str, str] | None = None,
    ) -> None:
        super().__init__(directory=directory, port=free_port())
        self.node = node
        self.voters = voters or {node: free_port()}
        self.cluster = cluster or new_cluster_id()
        self.heap = heap
        self.settings = settings or {}

    @property
    def bootstrap(self) -> str:
        """What goes into TALLY_KAFKA."""
        return self.address

    def command(self) -> Sequence[str]:
        """Write the configuration, format the storage the first time, and run the broker."""
        logging, properties = self.directory / "log4j2.properties", self.directory / "server.properties"
        logging.write_text(LOGGING)
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        java = ["java", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars()}/*"]
        if not (self.directory / "data").exists():
            form = ["kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(properties)]
            done = subprocess.run([*java, *form], check=False, capture_output=True, text=True)
            if done.returncode:
                raise ServerError(f"the storage of Kafka could not be formatted:\n{done.stdout}{done.stderr}")
        return [java[0], "-Xms256m", f"-Xmx{self.heap}", *JVM, *java[1:], "kafka.Kafka", str(properties)]

    def ready(self) -> bool:
        """It answers, and it is ours: another broker that was faster on the port has another cluster id."""
        return kafka_answers(self.port) and cluster_id(self.address) == self.cluster

    def _properties(self) -> dict[str, str]:
        copies = min(3, len(self.voters))
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self.voters[self.node]}"
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.node),
            "controller.quorum.voters": ",".join(f"{node}@{HOST}:{port}" for node, port in self.voters.items()),
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.directory / "data"),
            "default.replication.factor": str(copies),
            "min.insync.replicas": str(max(1, copies - 1)),
            "offsets.topic.replication.factor": str(copies),
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(max(1, copies - 1)),
            "share.coordinator.state.topic.replication.factor": str(copies),
            **SETTINGS,
            **self.settings,
        }


def admin(bootstrap: str) -> AdminClient:
    """Make a client that keeps its complaints about brokers that are down to itself."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})


def cluster_id(bootstrap: str) -> str | None:
    """Ask for the cluster's id; None while it cannot say."""
    with contextlib.suppress(Exception):
        found: str | None = admin(bootstrap).list_topics(timeout=2).cluster_id
        return found
    return None


class Kafka:
    """A Kafka of one node or three; a context manager. Without a directory its data goes when it is stopped.

    Attributes:
        nodes: each with kill(), pause(), resume() and start(), which starts again on its data.
        bootstrap: what goes into TALLY_KAFKA; names all nodes.
    """

    transactions = True

    def __init__(
        self, directory: Path | None = None, *, count: int = 1, settings: dict[str, str] | None = None
    ) -> None:
        voters = {node: free_port() for node in range(1, count + 1)}
        cluster = new_cluster_id()
        heap = "1g" if count == 1 else "512m"
        self.nodes = [
            Node(
                directory / f"node{node}" if directory else None,
                node=node,
                voters=voters,
                cluster=cluster,
                heap=heap,
                settings=settings,
            )
            for node in voters
        ]

    @property
    def bootstrap(self) -> str:
        """Every node's address, with commas between."""
        return ",".join(node.address for node in self.nodes)

    def start(self) -> Self:
        """Start every node that is not up; a quorum needs them at once, so all are launched before any is awaited."""
        down = [node for node in self.nodes if not node.alive()]
        for node in down:
            node.launch()
        for node in down:
            node.await_ready()
        wait_until(lambda: len(brokers(self.bootstrap)) == len(self.nodes), "the meeting of all brokers", 60)
        return self

    def kill(self) -> None:
        """SIGKILL every node; the data stays."""
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        """SIGSTOP every node."""
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        """SIGCONT every node."""
        for node in self.nodes:
            node.resume()

    def heal(self) -> None:
        """Resume and start whatever a test left paused or dead."""
        for node in self.nodes:
            if node.alive():
                node.resume()
        self.start()

    def stop(self) -> None:
        """End every node. By SIGKILL: in order, the last one misses its quorum."""
        self.kill()
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def brokers(bootstrap: str) -> set[int]:
    """The ids of the brokers that are up."""
    with contextlib.suppress(Exception):
        return set(admin(bootstrap).list_topics(timeout=2).brokers)
    return set()


class GivenKafka:
    """The Kafka that TALLY_TEST_KAFKA names: somebody else's, so no test kills it."""

    transactions = True

    def __init__(self) -> None:
        self.bootstrap = os.environ["TALLY_TEST_KAFKA"]
