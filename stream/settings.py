"""Settings of a worker and of the commands: from the environment, checked whole.

`from_environment` reads every variable of `VARIABLES`, applies the defaults and reports all
faults at once. Times are kept in microseconds, as everywhere in this project.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas import durations
from schemas.durations import DAY, MINUTE, SECOND

PREFIX = "TALLY_"
_APP = re.compile(r"[a-z0-9._-]+\Z")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*")
_REDIS = ("redis", "rediss", "redis+sentinel", "redis+cluster")
_LONGEST_APP = 64
"""Kafka's names end at 249 characters, and the app's is only a part of its topics'."""
_MOST_PARTITIONS = 10_000


class SettingsFault(ValueError):  # noqa: N818 - it may hold several faults, one on each line
    """Every fault of the environment; `faults` has (variable, sentence)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("\n".join(f"{name}: {message}" for name, message in faults))


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: the attribute of Settings that it sets, how it is read, and its help text.

    `default` is the text that stands for the variable where it is not set; None means that
    `help` says what holds then. `unit` is `duration` or empty; `bounds` says the range.
    """

    name: str
    attribute: str
    read: Callable[[str], Any]
    default: str | None
    help: str
    unit: str = ""
    bounds: str = ""
    secret: bool = False


def _duration(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        us = durations.parse(text)
        if not least <= us <= most:
            raise ValueError(f"write a duration from {durations.show(least)} to {durations.show(most)}")
        return us

    return read


def _count(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return read


def _app(text: str) -> str:
    if not _APP.match(text) or len(text) > _LONGEST_APP or text in {".", ".."}:
        raise ValueError(f"write 1 to {_LONGEST_APP} of a-z, 0-9, '.', '_' and '-'")
    return text


def _topic(text: str) -> str:
    if not _TOPIC.match(text) or text in {".", ".."}:
        raise ValueError("write the name of a topic: up to 249 of A-Z, a-z, 0-9, '.', '_' and '-'")
    return text


def _port(text: str, least: int = 1) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= 65_535:
        raise ValueError(f"write a port from {least} to 65535 after the last colon")
    return int(text)


def _address(text: str) -> str:
    """`host:port`; port 0 lets the machine choose one."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not _HOST.fullmatch(host):
        raise ValueError("write host:port, such as 127.0.0.1:6066 or [::1]:6066")
    _port(port, 0)
    return text


def _servers(text: str) -> str:
    servers = [part.strip() for part in text.split(",")]
    for server in servers:
        host, colon, port = server.rpartition(":")
        if not colon or not host or not _HOST.fullmatch(host):
            raise ValueError("write host:port, several with a comma between them")
        _port(port)
    return ",".join(servers)


def _redis(text: str) -> str:
    try:
        url = urlsplit(text)
        hosts = url.netloc.rpartition("@")[2]
    except ValueError as error:
        raise ValueError(f"is no URL ({error})") from None
    if url.scheme not in _REDIS:
        raise ValueError(f"write a URL that begins with one of {', '.join(f'{scheme}://' for scheme in _REDIS)}")
    if not hosts:
        raise ValueError("names no host: write redis://host:6379/0")
    for host in hosts.split(","):
        _, colon, port = host.rpartition(":")
        if colon and not host.endswith("]"):
            _port(port)
    return text


def _file(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("write the path of a file")
    return Path(text)


def _token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write printable ASCII characters without a space")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says, checked; `*_us` are microseconds, addresses are `host:port`."""

    kafka: str
    redis: str
    metrics: Path
    app: str
    events_topic: str
    rejected_topic: str
    alerts_topic: str
    partitions: int
    max_age_us: int
    max_ahead_us: int
    keep_minute_us: int
    keep_hour_us: int
    keep_day_us: int
    keep_longer_us: int
    sliding_late_us: int
    listen: str
    advertise: str
    api_listen: str
    api_token: str | None
    data: Path

    @property
    def keep_us(self) -> tuple[int | None, ...]:
        """How long a window is kept after its end, in the order of `KINDS`; the total for ever."""
        return (self.keep_minute_us, self.keep_hour_us, self.keep_day_us, *[self.keep_longer_us] * 5, None)

    @property
    def remember_us(self) -> int:
        """For how long an event's id is remembered on its partition's clock."""
        return self.max_age_us + self.max_ahead_us


_KEPT = "how long {} is kept, and takes late events, after its end"
_AGES = (MINUTE, 3660 * DAY)
_AGE_BOUNDS = "1m to 3660d"

VARIABLES = (
    Variable("TALLY_KAFKA", "kafka", _servers, "127.0.0.1:9092", "Kafka's bootstrap servers: host:port,host:port"),
    Variable(
        "TALLY_REDIS", "redis", _redis, "redis://127.0.0.1:6379/0",
        "URL of Redis or Valkey: redis, rediss, redis+sentinel or redis+cluster", secret=True,
    ),
    Variable("TALLY_METRICS", "metrics", _file, "metrics.yaml", "the file of definitions, YAML or JSON"),
    Variable(
        "TALLY_APP", "app", _app, "tally",
        "names the consumer group, internal topics, transactional ids and Redis keys; two apps share servers unharmed",
        bounds="a-z 0-9 . _ -",
    ),
    Variable(
        "TALLY_EVENTS_TOPIC", "events_topic", _topic, "usage-events", "the topic of events; created where missing",
    ),
    Variable(
        "TALLY_REJECTED_TOPIC", "rejected_topic", _topic, "usage-rejected",
        "the topic of what is not accepted; created where missing",
    ),
    Variable(
        "TALLY_ALERTS_TOPIC", "alerts_topic", _topic, "usage-alerts",
        "the topic of crossed limits and shares; created where missing",
    ),
    Variable(
        "TALLY_PARTITIONS", "partitions", _count(1, _MOST_PARTITIONS), "16",
        "how many partitions a topic gets that is created; an existing one keeps its own",
        bounds=f"1 to {_MOST_PARTITIONS}",
    ),
    Variable(
        "TALLY_MAX_AGE", "max_age_us", _duration(SECOND, 3660 * DAY), "7d",
        "how far before its partition's clock an event may lie; ids are remembered for this and TALLY_MAX_AHEAD",
        unit="duration", bounds="1s to 3660d",
    ),
    Variable(
        "TALLY_MAX_AHEAD", "max_ahead_us", _duration(0, DAY), "5m",
        "how far after its record's own Kafka timestamp an event may lie", unit="duration", bounds="0s to 1d",
    ),
    Variable(
        "TALLY_KEEP_MINUTE", "keep_minute_us", _duration(*_AGES), "2d", _KEPT.format("a minute"),
        unit="duration", bounds=_AGE_BOUNDS,
    ),
    Variable(
        "TALLY_KEEP_HOUR", "keep_hour_us", _duration(*_AGES), "8d", _KEPT.format("an hour"),
        unit="duration", bounds=_AGE_BOUNDS,
    ),
    Variable(
        "TALLY_KEEP_DAY", "keep_day_us", _duration(*_AGES), "100d", _KEPT.format("a day"),
        unit="duration", bounds=_AGE_BOUNDS,
    ),
    Variable(
        "TALLY_KEEP_LONGER", "keep_longer_us", _duration(*_AGES), "400d",
        _KEPT.format("a week, month, quarter, year or billing period"), unit="duration", bounds=_AGE_BOUNDS,
    ),
    Variable(
        "TALLY_SLIDING_LATE", "sliding_late_us", _duration(0, 3660 * DAY), "1h",
        "how late a sliding rate takes events", unit="duration", bounds="0s to 3660d",
    ),
    Variable(
        "TALLY_LISTEN", "listen", _address, "127.0.0.1:6066",
        "where a worker serves /metrics, health and usage: host:port, port 0 for any that is free",
    ),
    Variable(
        "TALLY_ADVERTISE", "advertise", _address, None,
        "the address of this worker that it gives others; as TALLY_LISTEN unless set",
    ),
    Variable("TALLY_API_LISTEN", "api_listen", _address, "127.0.0.1:8080", "where `tally api` serves HTTP: host:port"),
    Variable(
        "TALLY_API_TOKEN", "api_token", _token, None,
        "the token that callers of the HTTP API send; without one it listens on loopback only",
        secret=True,
    ),
    Variable("TALLY_DATA", "data", _file, ".tally", "folder of local files, all of which may be lost without harm"),
)  # fmt: skip
"""Every variable, in the order in which help texts list them."""


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, the process's own unless given.

    A variable that is set to nothing counts as not set. Raises SettingsFault with all faults.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = []
    for variable in VARIABLES:
        text = environment.get(variable.name, "").strip() or variable.default
        try:
            values[variable.attribute] = None if text is None else variable.read(text)
        except ValueError as error:
            shown = "the value" if variable.secret else f'"{text}"'
            faults.append((variable.name, f"{shown} does not fit: {error}"))
    if "listen" in values and values.get("advertise", "") is None:
        values["advertise"] = values["listen"]
    faults += _together(values)
    if faults:
        raise SettingsFault(faults)
    return Settings(**values)


def slips(environment: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Variables that look like one of ours and are none: (name, sentence), to be logged as warnings.

    They are no faults: Kubernetes sets names such as TALLY_API_PORT for a service by itself.
    """
    environment = os.environ if environment is None else environment
    known = [variable.name for variable in VARIABLES]
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not _FOREIGN.search(name):
            close = get_close_matches(name, known, n=1, cutoff=0.8)
            if close:
                found.append((name, f"is no setting: did you mean {close[0]}?"))
    return found


_FOREIGN = re.compile(r"^TALLY_TEST_|_PORT(_|\Z)|_SERVICE_|_HOST\Z")
"""What the tests read, and what Kubernetes sets."""


def _together(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Faults of settings that fit alone and not together."""
    faults = []
    topics = {name: values[name] for name in ("events_topic", "rejected_topic", "alerts_topic") if name in values}
    for name, topic in topics.items():
        same = next(other for other, its in topics.items() if its == topic)
        if same != name:
            faults.append((PREFIX + name.upper(), f'"{topic}" is {PREFIX}{same.upper()} too: write another topic'))
    return faults


def api_fault(settings: Settings) -> str | None:
    """Why `tally api` must not start: without a token it listens on loopback only."""
    host = settings.api_listen.rpartition(":")[0].strip("[]")
    if settings.api_token is not None or host in {"localhost", "::1"} or host.startswith("127."):
        return None
    return f"TALLY_API_LISTEN is {settings.api_listen}, which others can reach: set TALLY_API_TOKEN, or use 127.0.0.1"


def help_lines() -> list[str]:
    """One line for each variable, as `tally worker --help` lists them: name, default, meaning, range."""
    widest = max(len(variable.name) for variable in VARIABLES)
    defaults = max(len(variable.default or "-") for variable in VARIABLES)
    lines = []
    for variable in VARIABLES:
        notes = "; ".join(note for note in (variable.unit, variable.bounds) if note)
        tail = f" ({notes})" if notes else ""
        lines.append(f"{variable.name:<{widest}}  {variable.default or '-':<{defaults}}  {variable.help}{tail}")
    return lines


__all__ = [
    "VARIABLES",
    "Settings",
    "SettingsFault",
    "Variable",
    "api_fault",
    "from_environment",
    "help_lines",
    "slips",
]
