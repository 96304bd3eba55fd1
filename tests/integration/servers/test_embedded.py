"""The servers of the demo: what they promise to whoever starts them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tally.servers import HOST, EmbeddedKafka, EmbeddedRedis, ServerError, wait_until
from tests.servers.records import Record, create_topics, produce, read

# Starts one of each, says where they are, and waits to be killed.
VICTIM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run in the background
from tally.servers import EmbeddedKafka, EmbeddedRedis
with EmbeddedKafka() as kafka, EmbeddedRedis() as store:
    print(kafka.pid, store.pid, kafka.directory, store.directory, flush=True)
    sys.stdin.read()
"""


def exists(pid: int) -> bool:
    """Whether a process is there, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def listeners(pid: int) -> set[str]:
    """The local addresses, in hexadecimal as /proc has them, on which a process listens for TCP."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].partition(":")[0])
    return found


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_starter_is_killed(ending: signal.Signals) -> None:
    """However the process ends that started them, the servers and their directories are gone."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as victim:
        assert victim.stdout is not None
        kafka, store, *directories = victim.stdout.readline().split()
        assert exists(int(kafka))
        assert exists(int(store))
        assert all(Path(directory).is_dir() for directory in directories)
        victim.send_signal(ending)
        victim.wait(30)
    wait_until(lambda: not exists(int(kafka)) and not exists(int(store)), "the end of the servers")
    wait_until(lambda: not any(Path(directory).exists() for directory in directories), "the end of their directories")


def test_nothing_is_left_when_the_servers_died_before_their_starter() -> None:
    """A server that a test killed leaves its directory to its keeper, which removes it."""
    with EmbeddedRedis() as store:
        store.kill()
        assert not store.alive()
        assert store.directory.exists()
    assert not store.directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_servers_listen_on_loopback_only() -> None:
    """Neither server is reached from another machine."""
    with EmbeddedKafka() as kafka, EmbeddedRedis() as store:
        assert listeners(kafka.pid) == {"0100007F"}
        assert listeners(store.pid) == {"0100007F"}


def test_embedded_redis_has_the_settings_that_the_product_demands() -> None:
    """It evicts nothing, and writes no snapshots."""
    with EmbeddedRedis() as store, redis.Redis.from_url(store.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_embedded_redis_comes_back_empty_on_the_same_port() -> None:
    """Without the log on disk a killed server has lost all, and answers where it did."""
    with EmbeddedRedis() as store:
        port = store.port
        with redis.Redis.from_url(store.url) as client:
            client.set("total", "5")
            store.kill()
            with pytest.raises(redis.ConnectionError):
                client.get("total")
            store.start()
            assert client.get("total") is None
        assert store.port == port


def test_paused_server_answers_nothing_until_it_is_resumed() -> None:
    """SIGSTOP keeps the connection open and silent."""
    with (
        EmbeddedRedis() as store,
        redis.Redis(port=store.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client,
    ):
        assert client.ping()
        store.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        store.resume()
        assert client.ping()


def test_stop_ends_a_paused_server() -> None:
    """A server that is stopped with SIGSTOP does not hold up the end."""
    with EmbeddedRedis() as store:
        pid = store.pid
        store.pause()
    assert not exists(pid)


def test_taken_port_is_told_with_what_the_server_said() -> None:
    """A port that somebody else has is an error that names it, not a connection to the somebody else."""
    with EmbeddedRedis() as first:
        second = EmbeddedRedis(port=first.port)
        with pytest.raises(ServerError, match=rf"(?s)did not start on {HOST}:{first.port}.*in use"):
            second.start()
        assert not second.directory.exists()
        third = EmbeddedKafka(port=first.port)
        with pytest.raises(ServerError, match=rf"(?s)did not start on {HOST}:{first.port}.*in use"):
            third.start()


def test_embedded_kafka_gives_back_what_was_sent(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """Keys, values, headers and timestamps come back as they were sent, in order, home by the Java client's hash."""
    create_topics(embedded_kafka.bootstrap, {unique: 4})
    sent = [Record(b"acme", b"%d" % number, 1000 + number, (("kind", b"\xff"),)) for number in range(3)]
    placed = produce(embedded_kafka.bootstrap, unique, sent)
    assert placed == [(0, 0), (0, 1), (0, 2)]  # murmur2("acme") mod 4
    assert read(embedded_kafka.bootstrap, unique) == [
        Record(b"acme", b"0", 1000, (("kind", b"\xff"),), unique, 0, 0),
        Record(b"acme", b"1", 1001, (("kind", b"\xff"),), unique, 0, 1),
        Record(b"acme", b"2", 1002, (("kind", b"\xff"),), unique, 0, 2),
    ]


def test_reading_an_empty_topic_ends(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """A topic without records is read to its end, which is its beginning."""
    create_topics(embedded_kafka.bootstrap, {unique: 2})
    assert read(embedded_kafka.bootstrap, unique) == []
