"""The LLM traces as usage events, and what they must come to: Azure's table, and SQL over the files.

Patel et al., "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024 (CC-BY).
The files stay where they are: TALLY_TEST_DATA, or `../shared/data` beside the project.
"""

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb
import pytest

SERVICES = ("code", "conv")
METRICS: dict[str, dict[str, Any]] = {
    "calls": {"aggregation": "count"},
    "input_tokens": {"aggregation": "sum", "property": "input"},
    "output_tokens": {"aggregation": "sum", "property": "output"},
}
DEFINITIONS: dict[str, Any] = {
    "metrics": {
        key: {"event_name": "llm_call", "type": "counter", "windows": ["minute", "hour", "day", "total"], **fields}
        for key, fields in METRICS.items()
    }
}
TOTALS = {
    ("code", "calls"): "8819",
    ("code", "input_tokens"): "18059974",
    ("code", "output_tokens"): "245896",
    ("conv", "calls"): "19366",
    ("conv", "input_tokens"): "22361870",
    ("conv", "output_tokens"): "4088665",
}
"""The table of the data set's README, to the token."""


class Call(NamedTuple):
    """One event: its customer, its bytes, its instant in milliseconds, and its minute in seconds."""

    customer: str
    value: bytes
    timestamp: int
    minute: int


def folder() -> Path:
    """Where the traces lie; skips the test where they do not, and fails it in CI."""
    found = Path(os.environ.get("TALLY_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not trace(found, "code").exists():
        if os.environ.get("CI"):
            raise FileNotFoundError(f"no traces in {found}: set TALLY_TEST_DATA")
        pytest.skip(f"no traces in {found}: set TALLY_TEST_DATA")
    return found


def trace(where: Path, service: str) -> Path:
    """The file of one service."""
    return where / f"azure_llm_inference_2023_{service}.csv.gz"


def calls(where: Path) -> Iterator[Call]:
    """Each call once, in the order of the files."""
    for service in SERVICES:
        with gzip.open(trace(where, service), "rt", newline="") as file:
            for number, row in enumerate(csv.DictReader(file)):
                text = row["TIMESTAMP"].replace(" ", "T") + "Z"
                second = int(datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp())
                value = (
                    f'{{"id":"{service}-{number}","event_name":"llm_call","customer_id":"{service}",'
                    f'"timestamp":"{text}","properties":'
                    f'{{"input":{row["ContextTokens"]},"output":{row["GeneratedTokens"]}}}}}'
                )
                milliseconds = second * 1_000 + int(text[20:23])
                yield Call(service, value.encode(), milliseconds, second - second % 60)


def shuffled(where: Path, rnd: Random) -> list[Call]:
    """All calls, minute after minute, shuffled within each, 5 % of them sent twice."""
    minutes: dict[int, list[Call]] = {}
    for call in calls(where):
        minutes.setdefault(call.minute, []).append(call)
    sent = []
    for minute in sorted(minutes):
        once = minutes[minute]
        twice = [call for call in once if rnd.random() < 0.05]
        sent += rnd.sample(once + twice, len(once) + len(twice))
    return sent


def minutes_by_sql(where: Path) -> dict[tuple[str, str, int], str]:
    """Every (customer, metric, minute) with a call, recounted by DuckDB."""
    found = {}
    for service in SERVICES:
        relation = duckdb.sql(
            """
            select epoch(date_trunc('minute', "TIMESTAMP"))::bigint, count(*),
                   sum("ContextTokens")::bigint, sum("GeneratedTokens")::bigint
            from read_csv($file, header = true,
                          columns = {'TIMESTAMP': 'TIMESTAMP', 'ContextTokens': 'BIGINT', 'GeneratedTokens': 'BIGINT'})
            group by 1
            """,
            params={"file": str(trace(where, service))},
        )
        assert relation is not None, "a select has rows"
        for minute, *values in relation.fetchall():
            for metric, value in zip(METRICS, values, strict=True):
                found[service, metric, minute] = str(value)
    return found
