"""What `tally doctor` thinks of topics, by what a broker may tell of them."""

from collections.abc import Iterable

from tally.doctor.checks import Check
from tally.doctor.topics import Shell, Topic, judge_changelog, judge_events, judge_rejected

SHELL = Shell("b:9092")
WEEK_US = 7 * 86_400_000_000
RIGHT = {
    "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "retention.ms": "604800000",
    "retention.bytes": "-1", "max.message.bytes": "4194304", "min.insync.replicas": "2",
}  # fmt: skip


def events(**changes: str) -> list[Check]:
    """The checks of a right topic of events, but for these settings."""
    config = {**RIGHT, **{name.replace("_", "."): value for name, value in changes.items()}}
    return list(judge_events(Topic("events", 16, 3, config), SHELL, WEEK_US))


def faults(checks: Iterable[Check]) -> list[tuple[str, str]]:
    """The first words and the last argument of what mends each fault."""
    return [
        (check.detail.split(":", 1)[0], (check.mend or "").rpartition(" ")[2])
        for check in checks
        if check.state == "wrong"
    ]


def test_a_topic_as_we_make_it_is_right() -> None:
    """LogAppendTime, deleted after the retention, three replicas of which two are written."""
    assert faults(events()) == []


def test_a_producers_clock_must_not_move_the_partitions() -> None:
    """CreateTime is fine with at most an hour ahead, which is Kafka 4's own default."""
    assert faults(events(message_timestamp_type="CreateTime", message_timestamp_after_max_ms="3600000")) == []
    far = events(message_timestamp_type="CreateTime", message_timestamp_after_max_ms="9223372036854775807")
    assert [mend for _, mend in faults(far)] == ["message.timestamp.after.max.ms=3600000"]
    assert faults(events(message_timestamp_type="CreateTime")) == [
        ("one producer with a wrong clock could move the partition's clock", "message.timestamp.type=LogAppendTime")
    ]


def test_events_must_not_be_compacted_away() -> None:
    """The key is the customer, so compaction would keep one event of each."""
    assert faults(events(cleanup_policy="compact")) == [("cleanup.policy is compact", "cleanup.policy=delete")]
    assert faults(events(cleanup_policy="compact,delete")) == [
        ("cleanup.policy is compact,delete", "cleanup.policy=delete")
    ]


def test_events_must_outlive_their_greatest_age() -> None:
    """A retention below TALLY_MAX_AGE, or one by size, may remove what no worker has read."""
    short = events(retention_ms="86400000")
    (mend,) = [check.mend for check in short if check.state == "wrong"]
    assert mend == (
        "kafka-configs.sh --bootstrap-server b:9092 --alter --entity-type topics --entity-name events "
        "--add-config retention.ms=604800000"
    )
    assert faults(events(retention_ms="-1")) == []
    assert faults(events(retention_bytes="1000000")) == [("retention.bytes is 1,000,000", "retention.bytes=-1")]


def test_large_records_must_fit() -> None:
    """Kafka's default holds 1 MiB, and no headers of ours beside it."""
    assert [mend for _, mend in faults(events(max_message_bytes="1048588"))] == ["max.message.bytes=4194304"]
    rejected = Topic("rejected", 16, 3, {**RIGHT, "max.message.bytes": "1048588"})
    assert [mend for _, mend in faults(judge_rejected(rejected, SHELL))] == ["max.message.bytes=4194304"]


def test_one_copy_is_told_and_too_few_are_wrong() -> None:
    """One replica is a choice; several of which one need be written are a trap, as is needing all."""
    assert faults(judge_events(Topic("e", 1, 1, {**RIGHT, "min.insync.replicas": "1"}), SHELL, WEEK_US)) == []
    assert [mend for _, mend in faults(events(min_insync_replicas="1"))] == ["min.insync.replicas=2"]
    assert [mend for _, mend in faults(events(min_insync_replicas="3"))] == ["min.insync.replicas=2"]
    assert [mend for _, mend in faults(events(unclean_leader_election_enable="true"))] == [
        "unclean.leader.election.enable=false"
    ]


def test_the_changelog_is_compacted_and_as_wide_as_the_events() -> None:
    """Deleting its rows deletes totals of quiet customers; fewer partitions mean that homes moved."""
    right = {**RIGHT, "cleanup.policy": "compact"}
    assert faults(judge_changelog(Topic("log", 16, 3, right), SHELL, 16)) == []
    assert faults(judge_changelog(Topic("log", 16, 3, RIGHT), SHELL, 16)) == [
        ("cleanup.policy is delete, so rows of quiet customers would be deleted", "cleanup.policy=compact")
    ]
    assert [
        check.mend for check in judge_changelog(Topic("log", 4, 3, right), SHELL, 16) if check.state == "wrong"
    ] == ["tally reset"]


def test_a_silent_broker_is_unknown_not_wrong() -> None:
    """The embedded broker tells no settings."""
    silent = Topic("events", 16, 1, {})
    for checks in (
        judge_events(silent, SHELL, WEEK_US),
        judge_rejected(silent, SHELL),
        judge_changelog(silent, SHELL, 16),
    ):
        assert [check.state for check in checks] == ["unknown"]
