"""`tally doctor`: what is wrong, and the command that mends it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import click
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.faults import Faults
from stream.settings import Settings
from tally import kafka, store
from tally.cli import Command, json_option
from tally.config import settings
from tally.definitions import load
from tally.doctor.app import ask_workers, counts, judge_counts, judge_members
from tally.doctor.checks import Check, note, ok, unknown, wrong
from tally.doctor.redis import addresses, check_servers, check_totals
from tally.doctor.topics import Shell, Topic, judge_alerts, judge_changelog, judge_events, judge_rejected
from tally.output import plural, print_json
from tally.topics import changelog_of

MARKS = {"ok": ("ok", "green"), "wrong": ("WRONG", "red"), "unknown": ("unknown", "yellow"), "note": ("note", "cyan")}


@click.command(
    cls=Command,
    short_help="Check servers, topics and settings.",
    example="""
tally doctor
tally doctor --json""",
)
@json_option
def command(*, as_json: bool) -> None:
    """Check whether Kafka and Redis answer and are set as exact totals need it, and print the command that mends each fault.

    Looks, and changes nothing. Exits with 1 when something is wrong; what a server does not tell is unknown, not wrong.
    """
    checks: list[Check] = []
    asyncio.run(_look(settings(), checks, quiet=as_json))
    states = Counter(check.state for check in checks)
    if as_json:
        print_json({"checks": [check.to_json() for check in checks], "wrong": states["wrong"]})
    elif states["wrong"]:
        click.echo(f"\n{plural(states['wrong'], 'fault')}.")
    else:
        click.echo("\nNothing is wrong.")
    if states["wrong"]:
        raise SystemExit(1)


async def _look(config: Settings, checks: list[Check], *, quiet: bool) -> None:
    async for check in _all(config):
        checks.append(check)
        if not quiet:
            mark, colour = MARKS[check.state]
            click.echo(f"{click.style(f'{mark:<8}', fg=colour)}{check.about}: {check.detail}")
            if check.mend:
                click.echo(f"        -> {check.mend}")


async def _all(config: Settings) -> AsyncIterator[Check]:
    for check in _definitions(config):
        yield check
    partitions, trying, working = None, False, False
    try:
        async with kafka.admin(config.kafka) as admin:
            there = await kafka.topics(admin)
            trying = not await _transactions(config.kafka)
            partitions = there.get(config.events_topic)
            yield ok("Kafka", f"answers at {config.kafka}")
            if trying:
                yield note("Kafka", "knows no transactions: for trying things, not for money")
            async for check in _topics(config, admin, there):
                yield check
            members = await kafka.members(admin, config.app)
            working = bool(members)
            yield judge_members(config.app, members, partitions or config.partitions)
    except (kafka.Unreachable, KafkaError, OSError, TimeoutError) as error:
        sentence = error.message if isinstance(error, click.ClickException) else f"{type(error).__name__}: {error}"
        yield wrong("Kafka", sentence, "export TALLY_KAFKA=host:port")
    try:
        async with store.connected(config.redis) as client:
            async for check in check_servers(client, trying=trying):
                yield check
            async for check in check_totals(client, config.app, partitions, working=working):
                yield check
            async for check in ask_workers(await addresses(client, config.app), working=working):
                yield check
    except (store.Unreachable, click.UsageError) as error:
        yield wrong("Redis", error.message, "export TALLY_REDIS=redis://host:port/0")


def _definitions(config: Settings) -> Iterator[Check]:
    where = f"definitions {config.metrics}"
    if not config.metrics.exists():
        yield note(where, "the file is not here; the workers need it", "export TALLY_METRICS=path")
        return
    try:
        found = load(config.metrics)
    except Faults as faults:
        yield wrong(where, plural(len(faults.faults), "fault"), f"tally validate {config.metrics}")
    except click.ClickException as error:
        yield wrong(where, error.message)
    else:
        yield ok(where, f"{plural(len(found.metrics), 'metric')}, {plural(len(found.limits), 'limit')}")


async def _transactions(bootstrap: str) -> bool:
    """Whether the broker can fence and commit, as the engine asks it."""
    from stream.engine.kafka import Kafka

    broker = Kafka(bootstrap)
    await broker.start()
    try:
        return await broker.has_transactions()
    finally:
        await broker.stop()


async def _topics(config: Settings, admin: AIOKafkaAdminClient, there: dict[str, int]) -> AsyncIterator[Check]:
    changelog = changelog_of(config.app)
    names = (config.events_topic, config.rejected_topic, config.alerts_topic, changelog)
    found = await _described(admin, [name for name in names if name in there])
    shell = Shell(config.kafka)
    for name in names:
        if name not in there:
            yield note(f"topic {name}", "does not exist yet: the first worker makes it")
    if (topic := found.get(config.events_topic)) is not None:
        for check in judge_events(topic, shell, config.max_age_us):
            yield check
    if (topic := found.get(config.rejected_topic)) is not None:
        for check in judge_rejected(topic, shell):
            yield check
    if (topic := found.get(config.alerts_topic)) is not None:
        for check in judge_alerts(topic, shell):
            yield check
    if (topic := found.get(changelog)) is not None:
        for check in judge_changelog(topic, shell, there.get(config.events_topic, 0)):
            yield check
        async for check in _counted(config, changelog, topic.partitions):
            yield check


async def _described(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, Topic]:
    settings_of: dict[str, dict[str, str]] = {}
    with contextlib.suppress(KafkaError):  # a broker that does not answer this is silent, not wrong
        settings_of = await kafka.configs(admin, names)
    about: list[dict[str, Any]] = await admin.describe_topics()
    return {
        topic["topic"]: Topic(
            topic["topic"],
            len(topic["partitions"]),
            min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
            settings_of.get(topic["topic"], {}),
        )
        for topic in about
        if topic["topic"] in names
    }


async def _counted(config: Settings, changelog: str, partitions: int) -> AsyncIterator[Check]:
    async with kafka.consumer(config.kafka) as consumer:
        try:
            total, _ = await counts(consumer, changelog, partitions)
        except ValueError as other_format:
            yield wrong(f"topic {changelog}", str(other_format))
            return
        except click.ClickException as stuck:
            yield unknown(f"topic {changelog}", stuck.message)
            return
    for check in judge_counts(config.app, total, config.rejected_topic):
        yield check
