"""How topics have to be set: pure judgement of what a broker told."""

from collections.abc import Iterator, Mapping

import msgspec

from schemas import durations
from schemas.rejections import MOST_BYTES
from tally.doctor.checks import Check, note, ok, unknown, wrong

Config = Mapping[str, str]
MOST_AHEAD_MS = 3_600_000  # section 1 of the contract: a producer may move a partition's clock an hour ahead, no more
ROOM = 64 << 10  # bytes for the headers that an entry or a re-routed event carries beside its value
ROOMY = 4 << 20  # what we recommend where there is too little
COMMIT_BYTES = 4 << 20  # a commit's batch of rows; the engine's own topics have 8 MiB


class Topic(msgspec.Struct, frozen=True):
    """What a broker tells of a topic: `replicas` of its least replicated partition; `config` empty where it is silent."""

    name: str
    partitions: int
    replicas: int
    config: dict[str, str]

    @property
    def about(self) -> str:
        """How checks name it."""
        return f"topic {self.name}"


class Shell(msgspec.Struct, frozen=True):
    """Writes the commands that mend a topic, for Kafka's own tools."""

    bootstrap: str

    def configure(self, topic: str, *pairs: str) -> str:
        """Set settings of a topic."""
        return (
            f"kafka-configs.sh --bootstrap-server {self.bootstrap} --alter --entity-type topics --entity-name {topic} "
            f"--add-config {','.join(pairs)}"
        )

    def unset(self, topic: str, name: str) -> str:
        """Give a setting of a topic back to the broker's default."""
        return (
            f"kafka-configs.sh --bootstrap-server {self.bootstrap} --alter --entity-type topics --entity-name {topic} "
            f"--delete-config {name}"
        )

    def widen(self, topic: str, partitions: int) -> str:
        """Give a topic more partitions."""
        return f"kafka-topics.sh --bootstrap-server {self.bootstrap} --alter --topic {topic} --partitions {partitions}"


def judge_events(topic: Topic, shell: Shell, max_age_us: int) -> Iterator[Check]:
    """Check the topic of events: its clock, its policy, how long it keeps events, how large they may be."""
    config, name = topic.config, topic.name
    if not config:
        yield unknown(topic.about, "the broker does not tell its settings")
        return
    yield judge_clock(topic, shell)
    yield _deletes(topic, shell, "compaction would remove all but a customer's last event")
    yield from _keeps(topic, shell, max_age_us)
    yield _takes(topic, shell, MOST_BYTES + ROOM, "a re-routed event of 1 MiB would not fit")
    if config.get("message.timestamp.type") == "LogAppendTime":
        detail = "records get the broker's time: history sent with `tally send --event-time` would be too old"
        yield note(topic.about, detail)
    yield from _replicated(topic, shell, name)


def judge_rejected(topic: Topic, shell: Shell) -> Iterator[Check]:
    """Check the topic of rejected events."""
    if not topic.config:
        yield unknown(topic.about, "the broker does not tell its settings")
        return
    yield _deletes(topic, shell, "compaction would remove all but a customer's last entry")
    yield _takes(
        topic, shell, MOST_BYTES + ROOM, "an entry of 1 MiB with its headers would not fit, and hold up commits"
    )
    yield from _replicated(topic, shell, topic.name)


def judge_alerts(topic: Topic, shell: Shell) -> Iterator[Check]:
    """Check the topic of alerts."""
    if not topic.config:
        yield unknown(topic.about, "the broker does not tell its settings")
        return
    yield _deletes(topic, shell, "compaction would remove all but a customer's last alert")


def judge_changelog(topic: Topic, shell: Shell, partitions: int) -> Iterator[Check]:
    """Check the changelog, which holds the state: losing a row of it loses totals."""
    if topic.partitions < partitions:
        yield wrong(
            topic.about,
            f"has {topic.partitions} partitions, the events {partitions}: customers' homes have moved",
            "tally reset",
        )
    if not topic.config:
        yield unknown(topic.about, "the broker does not tell its settings")
        return
    policy = topic.config.get("cleanup.policy", "")
    if policy == "compact":
        yield ok(topic.about, "is compacted, and nothing else removes its rows")
    else:
        detail = f"cleanup.policy is {policy}, so rows of quiet customers would be deleted"
        yield wrong(topic.about, detail, shell.configure(topic.name, "cleanup.policy=compact"))
    yield _takes(topic, shell, COMMIT_BYTES, "a large commit would not fit")
    yield from _replicated(topic, shell, topic.name)


def judge_clock(topic: Topic, shell: Shell) -> Check:
    """Check that one producer's wrong clock cannot move the partition's, on which everyone's ages are judged."""
    config = topic.config
    if config.get("message.timestamp.type") == "LogAppendTime":
        return ok(topic.about, "records carry the broker's time (LogAppendTime)")
    mend = shell.configure(topic.name, "message.timestamp.type=LogAppendTime")
    text = config.get("message.timestamp.after.max.ms")
    if text is None:  # Kafka before 3.6
        return wrong(topic.about, "one producer with a wrong clock could move the partition's clock", mend)
    if int(text) <= MOST_AHEAD_MS:
        return ok(topic.about, f"records lie at most {_spell(text)} ahead (message.timestamp.after.max.ms)")
    return wrong(
        topic.about,
        f"message.timestamp.after.max.ms is {_spell(text)}: one producer with a wrong clock could make everyone else's "
        "events too old",
        shell.configure(topic.name, f"message.timestamp.after.max.ms={MOST_AHEAD_MS}"),
    )


def _deletes(topic: Topic, shell: Shell, otherwise: str) -> Check:
    policy = topic.config.get("cleanup.policy", "delete")
    if policy == "delete":
        return ok(topic.about, "is not compacted")
    detail = f"cleanup.policy is {policy}: {otherwise}"
    return wrong(topic.about, detail, shell.configure(topic.name, "cleanup.policy=delete"))


def _keeps(topic: Topic, shell: Shell, max_age_us: int) -> Iterator[Check]:
    kept, needed = topic.config.get("retention.ms", "-1"), max_age_us // 1000
    if int(kept) == -1 or int(kept) >= needed:
        yield ok(topic.about, f"keeps events {'for ever' if int(kept) == -1 else _spell(kept)}")
    else:
        yield wrong(
            topic.about,
            f"retention.ms is {_spell(kept)}, less than TALLY_MAX_AGE ({_spell(str(needed))}): events may be gone before "
            "workers that stood still, or a reset, have read them",
            shell.configure(topic.name, f"retention.ms={needed}"),
        )
    size = topic.config.get("retention.bytes", "-1")
    if int(size) != -1:
        detail = f"retention.bytes is {int(size):,}: a burst may push out events that no worker has read"
        yield wrong(topic.about, detail, shell.configure(topic.name, "retention.bytes=-1"))


def _takes(topic: Topic, shell: Shell, needed: int, otherwise: str) -> Check:
    most = int(topic.config.get("max.message.bytes", "0"))
    if most >= needed:
        return ok(topic.about, f"takes records of {most:,} bytes")
    detail = f"max.message.bytes is {most:,}: {otherwise}"
    return wrong(topic.about, detail, shell.configure(topic.name, f"max.message.bytes={max(ROOMY, needed)}"))


def _replicated(topic: Topic, shell: Shell, name: str) -> Iterator[Check]:
    insync = int(topic.config.get("min.insync.replicas", "1"))
    if topic.replicas == 1:
        yield note(topic.about, "has one replica: when its broker's disk is lost, so is the topic")
    elif insync < 2:
        detail = f"min.insync.replicas is {insync}: acknowledged records may be on one broker only"
        yield wrong(topic.about, detail, shell.configure(name, "min.insync.replicas=2"))
    elif insync >= topic.replicas:
        detail = f"min.insync.replicas is {insync} of {topic.replicas}: one broker's restart stops all writing"
        yield wrong(topic.about, detail, shell.configure(name, f"min.insync.replicas={topic.replicas - 1}"))
    else:
        yield ok(topic.about, f"has {topic.replicas} replicas, {insync} of them written before a record counts")
    if topic.config.get("unclean.leader.election.enable") == "true":
        detail = "unclean.leader.election.enable is true: a lagging broker may take over and drop records"
        yield wrong(topic.about, detail, shell.configure(name, "unclean.leader.election.enable=false"))


def _spell(milliseconds: str) -> str:
    """A duration as settings are written, as far as it is one: `7d`, else the milliseconds."""
    number = int(milliseconds)
    return durations.show(number * 1000) if 0 <= number < 10**13 else f"{number:,} ms"
