"""Redis and Valkey, alone, in a Cluster and behind Sentinels: what the fixtures promise."""

from redis import Redis
from redis.cluster import RedisCluster

from tally.servers import HOST, EmbeddedRedis, wait_until
from tests.servers.stores import SLOTS, Cluster, SentinelSet, ask, in_sync


def test_the_two_kinds_are_what_they_say(valkey_server: EmbeddedRedis, redis_server: EmbeddedRedis) -> None:
    """One is Valkey of the wheel and the other is Redis 7 or newer."""
    assert ask(valkey_server, "INFO", "server")["server_name"] == "valkey"
    about = ask(redis_server, "INFO", "server")
    assert "server_name" not in about
    assert int(about["redis_version"].split(".")[0]) >= 7


def test_any_redis_answers(any_redis: EmbeddedRedis, unique: str) -> None:
    """The address in `url` is a Redis on which a script runs."""
    with Redis.from_url(any_redis.url, decode_responses=True) as client:
        assert client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, unique, "5") == "OK"
        assert client.get(unique) == "5"


def test_own_redis_loses_nothing_when_it_is_killed(own_redis: EmbeddedRedis) -> None:
    """With its log on disk a killed server comes back with every acknowledged write."""
    with Redis.from_url(own_redis.url, decode_responses=True) as client:
        for number in range(100):
            client.set(f"k{number}", number)
        own_redis.kill()
        own_redis.start()
        assert [client.get(f"k{number}") for number in range(100)] == [str(number) for number in range(100)]


def test_cluster_serves_every_slot(redis_cluster: Cluster) -> None:
    """Three primaries hold all the slots, and a key is found on the node of its hash tag."""
    assert [server.alive() for server in redis_cluster.servers] == [True, True, True]
    with RedisCluster(host=HOST, port=redis_cluster.servers[0].port, decode_responses=True) as client:
        for number in range(30):
            client.set(f"{{{number}}}:k", number)
        assert [client.get(f"{{{number}}}:k") for number in range(30)] == [str(number) for number in range(30)]
    sizes = [ask(server, "DBSIZE") for server in redis_cluster.servers]
    assert all(size > 0 for size in sizes)
    assert SLOTS == 16384


def test_replica_takes_over_in_the_cluster(redis_cluster_with_replicas: Cluster) -> None:
    """When a primary is killed its replica becomes the primary by itself, with the data."""
    cluster = redis_cluster_with_replicas
    with RedisCluster(host=HOST, port=cluster.servers[0].port) as client:
        for number in range(30):
            client.set(f"k{number}", number)
    sizes = [ask(server, "DBSIZE") for server in cluster.servers[:3]]
    wait_until(lambda: [ask(server, "DBSIZE") for server in cluster.servers[3:]] == sizes, "the replicas' copies")
    cluster.servers[0].kill()
    wait_until(lambda: ask(cluster.servers[3], "ROLE")[0] == "master" and cluster.whole(), "the failover")
    assert ask(cluster.servers[3], "DBSIZE") == sizes[0]
    cluster.start()
    wait_until(lambda: in_sync(cluster.servers[0]), "the return of the first as a replica")


def test_sentinels_promote_the_replica(redis_sentinel: SentinelSet) -> None:
    """When the primary is killed the Sentinels name the replica, which has the data."""
    first, second = redis_sentinel.stores
    assert redis_sentinel.primary() is first
    ask(first, "SET", "total", "5")
    wait_until(lambda: ask(second, "GET", "total") == "5", "the replica's copy")
    first.kill()
    wait_until(lambda: redis_sentinel.primary() is second, "the failover")
    wait_until(lambda: ask(second, "ROLE")[0] == "master", "the promotion")
    assert ask(second, "GET", "total") == "5"
