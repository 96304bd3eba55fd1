"""Real input: two production services' LLM calls, to the token."""

import json
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import redis

from schemas.load import load
from stream.core.simulate import simulate
from tally.servers import EmbeddedRedis, wait_until
from tests.integration.traces import DEFINITIONS, SERVICES, TOTALS, folder, minutes_by_sql, shuffled
from tests.integration.workers import workers
from tests.oracle.homes import home
from tests.oracle.recount import recount
from tests.servers.fixtures import Broker
from tests.servers.records import Record, create_topics, produce


def test_the_judge_and_sql_agree_with_the_published_table() -> None:
    """The naive recount and DuckDB, which share nothing, both come to the data set's own totals."""
    where = folder()
    answer = recount(DEFINITIONS, [call.value for call in shuffled(where, Random(7))])
    found = {(row["customer"], row["metric"]): row["value"] for row in answer["rows"] if row["window"] == "total"}
    assert found == TOTALS
    assert answer["duplicates"] == 1_441
    by_sql: dict[tuple[str, str], int] = dict.fromkeys(TOTALS, 0)
    for (customer, metric, _), value in minutes_by_sql(where).items():
        by_sql[customer, metric] += int(value)
    assert {key: str(value) for key, value in by_sql.items()} == TOTALS


def test_simulate_counts_the_traces_to_the_token() -> None:
    """Shuffled within a minute and with 5 % sent twice, `tally simulate`'s fold gives the published totals and SQL's minutes."""
    where = folder()
    answer = simulate(
        load(json.dumps(DEFINITIONS), "metrics.json"), [call.value for call in shuffled(where, Random(7))]
    )
    found = {(row["customer"], row["metric"]): row["value"] for row in answer["rows"] if row["window"] == "total"}
    assert found == TOTALS
    assert answer["duplicates"] == 1_441
    minutes = {
        (row["customer"], row["metric"], int(datetime.fromisoformat(row["start"]).timestamp())): row["value"]
        for row in answer["rows"]
        if row["window"] == "minute"
    }
    assert minutes == minutes_by_sql(where)


def test_workers_count_the_traces_to_the_token(
    broker: Broker, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    """Through Kafka, two workers and Redis: the published totals to the token, and each minute's history as SQL has it."""
    where = folder()
    topic = f"{unique}-events"
    # the events are of 2023, and Kafka deletes by their timestamps
    create_topics(broker.bootstrap, {topic: 4}, {"retention.ms": "-1"})
    environment = {
        "TALLY_KAFKA": broker.bootstrap,
        "TALLY_REDIS": valkey_server.url,
        "TALLY_APP": unique,
        "TALLY_EVENTS_TOPIC": topic,
        "TALLY_REJECTED_TOPIC": f"{unique}-rejected",
        "TALLY_ALERTS_TOPIC": f"{unique}-alerts",
    }
    sent = [Record(call.customer.encode(), call.value, call.timestamp) for call in shuffled(where, Random(7))]
    with workers(2, tmp_path, DEFINITIONS, environment) as started, redis.Redis.from_url(valkey_server.url) as client:
        placed = produce(broker.bootstrap, topic, sent)
        ends = {home(service, 4): 0 for service in SERVICES}
        for partition, offset in placed:
            ends[partition] = max(ends[partition], offset + 1)

        def published() -> bool:
            return all(int(client.hget(f"{unique}:{{{part}}}", "o") or 0) >= end for part, end in ends.items())

        wait_until(published, "Redis holds every event", 120)
        assert totals_in_redis(client, unique) == TOTALS
        expected = minutes_by_sql(where)
        history = {
            (row["customer"], row["metric"], minute): row["value"]
            for service, minute in dict.fromkeys((service, minute) for service, _, minute in expected)
            for row in started[minute // 60 % 2].usage(customer=service, window="minute", at=str(minute))
        }
        assert history == expected


def totals_in_redis(client: redis.Redis, app: str) -> dict[tuple[str, str], str]:
    """The window `total` of each customer and metric, read with nothing but a Redis client."""
    found = {}
    for service in SERVICES:
        fields: Any = client.hgetall(f"{app}:{{{home(service, 4)}}}:u:{service}")
        for name, text in fields.items():
            if not name.startswith(b":"):
                found[service, name.decode()] = json.loads(text)["w"]["total"][0][2]
    return found
