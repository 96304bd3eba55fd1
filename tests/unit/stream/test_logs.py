"""Structured logs: a sentence, then fields."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from stream import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put the logging of the test session back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_json_with_topic_partition_and_offset() -> None:
    """Where no terminal reads, each line is one object with the bound and the given fields."""
    out = io.StringIO()
    logs.setup("info", stream=out)
    log = logs.named("stream.engine.commit").bind(topic="usage-events", partition=3)
    log.warning("The event at %s was skipped", offset=4711, key=b"\xffacme", error=ValueError("no number"))
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "stream.engine.commit",
        "message": "The event at %s was skipped",
        "topic": "usage-events",
        "partition": 3,
        "offset": 4711,
        "key": "\\xffacme",
        "error": "ValueError: no number",
    }


def test_a_line_for_a_person_has_fields_that_can_be_copied() -> None:
    """Texts with spaces or control characters are quoted, so that an event cannot forge a line."""
    out = io.StringIO()
    logs.setup("info", as_json=False, stream=out)
    logs.named("stream").info("Read", topic="usage-events", offset=12, id="a b\nERROR forged")
    assert out.getvalue().endswith('INFO stream Read topic=usage-events offset=12 id="a b\\nERROR forged"\n')
    assert out.getvalue().count("\n") == 1


def test_an_exception_brings_its_traceback() -> None:
    """`exception` keeps the traceback inside the line's object."""
    out = io.StringIO()
    logs.setup("info", stream=out)
    try:
        raise KeyError("x")
    except KeyError:
        logs.named("stream").exception("It failed", partition=1)
    line = json.loads(out.getvalue())
    assert line["trace"].endswith("KeyError: 'x'")
    assert line["level"] == "ERROR"


def test_libraries_are_quiet_unless_somebody_debugs() -> None:
    """Aiokafka's and Faust's own lines at INFO are left out, their warnings stay."""
    out = io.StringIO()
    logs.setup("info", stream=out)
    logging.getLogger("aiokafka.consumer").info("chatter")
    logging.getLogger("aiokafka.consumer").warning("trouble")
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["trouble"]


def test_a_library_that_repeats_itself_is_heard_once_and_counted() -> None:
    """A thousand times the same line from aiokafka is one line; ten seconds later the next one says how many there were."""
    once = logs.Once(seconds=10.0)

    def record(at: float) -> logging.LogRecord:
        made = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 1, "Unable connect to node %s", (1,), None)
        made.created = at
        return made

    assert once(record(100.0))
    assert [once(record(100.0 + i / 1000)) for i in range(1000)] == [False] * 1000
    later = record(110.5)
    assert once(later)
    assert later.getMessage() == "Unable connect to node 1 (and 1000 more like it)"
