"""A worker that runs, for every test of the API."""

import secrets
from collections.abc import Iterator, Mapping

import pytest

from tally.processes import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis
from tests.integration.api.serving import METRICS
from tests.integration.commands.running import environment


@pytest.fixture(scope="session")
def house(
    embedded_kafka: EmbeddedKafka, valkey_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, str]]:
    """The settings of an app with a worker that is ready. Customers are each test's own."""
    metrics = tmp_path_factory.mktemp("api") / "metrics.yaml"
    metrics.write_text(METRICS)
    env = environment(
        embedded_kafka.bootstrap,
        f"t-{secrets.token_hex(5)}",
        TALLY_REDIS=valkey_server.url,
        TALLY_METRICS=str(metrics),
    )
    with WorkerProcess(env, session_s=6.0):
        yield env
