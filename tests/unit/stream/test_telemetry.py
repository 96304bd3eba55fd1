"""What Prometheus sees of a worker."""

import re

from stream.core.header import Counts
from stream.telemetry import VERDICTS, Telemetry


def test_names_units_and_help_are_as_promised() -> None:
    """Every metric is ours by name, has a help text, and no label could hold a customer."""
    telemetry = Telemetry(process=False)
    part = telemetry.partition(3)
    part.committed({"read": 5, "counted": 4, "duplicate": 1}, records=3, size=100, seconds=0.01)
    part.rejected("rejected", "malformed")
    part.failed("produce")
    part.fenced()
    part.published(2, 0.001)
    part.refilled("missing")
    text = telemetry.render().decode()
    for family in telemetry.registry.collect():
        assert family.name.startswith("tally_")
        assert len(family.documentation) > 20
        if family.type == "counter":
            assert f"{family.name}_total" in text or f"# TYPE {family.name}_total counter" in text
    labels = set(re.findall(r'[{,]([a-z_]+)="', text))
    assert labels <= {"partition", "kind", "reason", "step", "cause", "le"}


def test_a_commit_adds_what_it_brought() -> None:
    """Counters grow by the differences that a commit reports; unknown names pass."""
    telemetry = Telemetry(process=False)
    part = telemetry.partition(3)
    part.committed({"read": 5, "counted": 4, "duplicate": 1, "rejected": 9}, records=3, size=100, seconds=0.01)
    part.committed({"read": 2, "counted": 2, "duplicate": 0}, records=1, size=50, seconds=0.01)
    value = telemetry.registry.get_sample_value
    assert value("tally_read_total", {"partition": "3"}) == 7
    assert value("tally_counted_total", {"partition": "3"}) == 6
    assert value("tally_duplicates_total", {"partition": "3"}) == 1
    assert value("tally_commits_total", {"partition": "3"}) == 2
    assert value("tally_commit_records_total", {"partition": "3"}) == 4
    assert value("tally_commit_bytes_total", {"partition": "3"}) == 150
    assert value("tally_commit_seconds_count") == 2


def test_every_fate_of_a_record_is_counted() -> None:
    """Each count of the header has its counter; `rejected` has one with its reasons."""
    assert set(VERDICTS) | {"rejected"} == set(Counts.__struct_fields__)


def test_a_partition_that_went_away_leaves_no_series() -> None:
    """A gauge that nobody updates would raise false alarms."""
    telemetry = Telemetry(process=False)
    telemetry.partition(3).lag.set(7)
    telemetry.partition(4).lag.set(8)
    telemetry.partition(3).rejected("partial", "bad_value")
    telemetry.forget(3)
    telemetry.forget(3)
    text = telemetry.render().decode()
    assert 'partition="3"' not in text
    assert telemetry.registry.get_sample_value("tally_lag_records", {"partition": "4"}) == 8
    assert telemetry.registry.get_sample_value("tally_partitions") == 1


def test_latency_is_that_of_the_newest_record_that_redis_now_holds() -> None:
    """One publish that covers several commits is observed once, and a commit that still waits is not."""
    telemetry = Telemetry(process=False)
    part = telemetry.partition(3)
    part.waits(10, 1_000)
    part.waits(20, 4_000_000_000_000)  # in the future, so that its latency is 0 whenever this runs
    part.waits(30, 1_000)
    part.reached(9)
    value = telemetry.registry.get_sample_value
    assert value("tally_event_to_redis_seconds_count") == 0
    part.reached(20)
    assert value("tally_event_to_redis_seconds_count") == 1
    assert value("tally_event_to_redis_seconds_sum") == 0
    part.reached(30)
    assert value("tally_event_to_redis_seconds_count") == 2
    assert value("tally_event_to_redis_seconds_bucket", {"le": "10.0"}) == 1


def test_troubles_are_counted_from_zero() -> None:
    """A counter that first appeared at 1 would have no increase: the first fence would raise no alarm."""
    telemetry = Telemetry(process=False)
    telemetry.partition(3)
    value = telemetry.registry.get_sample_value
    assert value("tally_fenced_total", {"partition": "3"}) == 0
    assert value("tally_redis_refills_total", {"partition": "3", "cause": "missing"}) == 0
    assert value("tally_redis_refills_total", {"partition": "3", "cause": "behind"}) == 0


def test_redis_that_does_not_answer_is_counted() -> None:
    """Every partition's publisher adds to one counter: Redis is one server to the operator."""
    telemetry = Telemetry(process=False)
    telemetry.partition(3).unanswered()
    telemetry.partition(4).unanswered()
    assert telemetry.registry.get_sample_value("tally_redis_errors_total") == 2
