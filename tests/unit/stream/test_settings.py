"""Settings come from the environment, are checked whole, and every one of the contract's is there."""

import re
from pathlib import Path

import pytest

from stream.settings import VARIABLES, Settings, SettingsFault, api_fault, from_environment, help_lines, slips

SECOND = 1_000_000
DAY = 86_400 * SECOND


def faults(**environment: str) -> list[tuple[str, str]]:
    """What is wrong with an environment."""
    with pytest.raises(SettingsFault) as found:
        from_environment(environment)
    return found.value.faults


def test_an_empty_environment_has_the_contracts_defaults() -> None:
    """Each default is the one that the contract's table names."""
    assert from_environment({}) == Settings(
        kafka="127.0.0.1:9092",
        redis="redis://127.0.0.1:6379/0",
        metrics=Path("metrics.yaml"),
        app="tally",
        events_topic="usage-events",
        rejected_topic="usage-rejected",
        alerts_topic="usage-alerts",
        partitions=16,
        max_age_us=7 * DAY,
        max_ahead_us=300 * SECOND,
        keep_minute_us=2 * DAY,
        keep_hour_us=8 * DAY,
        keep_day_us=100 * DAY,
        keep_longer_us=400 * DAY,
        sliding_late_us=3600 * SECOND,
        listen="127.0.0.1:6066",
        advertise="127.0.0.1:6066",
        api_listen="127.0.0.1:8080",
        api_token=None,
        data=Path(".tally"),
    )


def test_every_variable_of_the_contract_is_read() -> None:
    """No name of the contract's table is missing, and what is not in the table stands in this list."""
    assert {variable.name for variable in VARIABLES} == {
        "TALLY_KAFKA",
        "TALLY_REDIS",
        "TALLY_METRICS",
        "TALLY_APP",
        "TALLY_EVENTS_TOPIC",
        "TALLY_PARTITIONS",
        "TALLY_REJECTED_TOPIC",
        "TALLY_ALERTS_TOPIC",
        "TALLY_MAX_AGE",
        "TALLY_MAX_AHEAD",
        "TALLY_KEEP_MINUTE",
        "TALLY_KEEP_HOUR",
        "TALLY_KEEP_DAY",
        "TALLY_KEEP_LONGER",
        "TALLY_LISTEN",
        "TALLY_ADVERTISE",
        "TALLY_API_LISTEN",
        "TALLY_API_TOKEN",
        "TALLY_DATA",
    } | {"TALLY_SLIDING_LATE"}


def test_what_is_set_is_what_the_program_gets() -> None:
    """Values are read to their kind; blanks around them do not matter, and an empty one is as if not set."""
    settings = from_environment(
        {
            "TALLY_KAFKA": " kafka-1:9092, kafka-2:9092 ",
            "TALLY_REDIS": "redis+sentinel://:secret@s1:26379,s2:26379/main/0",
            "TALLY_APP": "billing.eu-1",
            "TALLY_PARTITIONS": "3",
            "TALLY_MAX_AGE": "90m",
            "TALLY_MAX_AHEAD": "0s",
            "TALLY_LISTEN": "[::1]:7000",
            "TALLY_METRICS": "",
            "TALLY_API_TOKEN": "abc123",
            "PATH": "/bin",
        }
    )
    assert settings.kafka == "kafka-1:9092,kafka-2:9092"
    assert settings.redis == "redis+sentinel://:secret@s1:26379,s2:26379/main/0"
    assert (settings.app, settings.partitions, settings.metrics) == ("billing.eu-1", 3, Path("metrics.yaml"))
    assert (settings.max_age_us, settings.max_ahead_us, settings.remember_us) == (
        5_400 * SECOND,
        0,
        5_400 * SECOND,
    )
    assert (settings.listen, settings.advertise, settings.api_token) == ("[::1]:7000", "[::1]:7000", "abc123")


def test_windows_are_kept_by_kind_in_the_order_of_kinds() -> None:
    """Minute, hour and day have their own retention, all longer ones share one, the total is kept for ever."""
    keep = from_environment({"TALLY_KEEP_LONGER": "500d"}).keep_us
    longer = 500 * DAY
    assert keep == (2 * DAY, 8 * DAY, 100 * DAY, longer, longer, longer, longer, longer, None)


def test_all_faults_are_told_at_once() -> None:
    """One start is enough to mend every variable; a secret is never shown."""
    assert faults(
        TALLY_KAFKA="kafka",
        TALLY_REDIS="http://user:secret@redis:6379",
        TALLY_APP="Tally",
        TALLY_PARTITIONS="0",
        TALLY_MAX_AGE="7",
        TALLY_MAX_AHEAD="2d",
        TALLY_KEEP_HOUR="8 d",
        TALLY_LISTEN="6066",
        TALLY_API_TOKEN="two words",
        TALLY_EVENTS_TOPIC="usage events",
        TALLY_ALERTS_TOPIC="usage-rejected",
    ) == [
        ("TALLY_KAFKA", '"kafka" does not fit: write host:port, several with a comma between them'),
        (
            "TALLY_REDIS",
            (
                "the value does not fit: write a URL that begins with one of redis://, rediss://, redis+sentinel://, "
                "redis+cluster://"
            ),
        ),
        ("TALLY_APP", "\"Tally\" does not fit: write 1 to 64 of a-z, 0-9, '.', '_' and '-'"),
        (
            "TALLY_EVENTS_TOPIC",
            "\"usage events\" does not fit: write the name of a topic: up to 249 of A-Z, a-z, 0-9, '.', '_' and '-'",
        ),
        ("TALLY_PARTITIONS", '"0" does not fit: write a whole number from 1 to 10000'),
        ("TALLY_MAX_AGE", '"7" does not fit: write a whole number and a unit: 250ms, 5s, 10m, 8h or 35d'),
        ("TALLY_MAX_AHEAD", '"2d" does not fit: write a duration from 0s to 1d'),
        ("TALLY_KEEP_HOUR", '"8 d" does not fit: write a whole number and a unit: 250ms, 5s, 10m, 8h or 35d'),
        ("TALLY_LISTEN", '"6066" does not fit: write host:port, such as 127.0.0.1:6066 or [::1]:6066'),
        ("TALLY_API_TOKEN", "the value does not fit: write printable ASCII characters without a space"),
        ("TALLY_ALERTS_TOPIC", '"usage-rejected" is TALLY_REJECTED_TOPIC too: write another topic'),
    ]


@pytest.mark.parametrize(
    "name, value",
    [
        ("TALLY_KAFKA", "a:9092,,b:9092"),
        ("TALLY_KAFKA", "a:99999"),
        ("TALLY_KAFKA", "::1:9092"),
        ("TALLY_REDIS", "redis://"),
        ("TALLY_REDIS", "redis://host:port"),
        ("TALLY_REDIS", "redis://[::1"),
        ("TALLY_APP", ".."),
        ("TALLY_APP", "a" * 65),
        ("TALLY_EVENTS_TOPIC", "t" * 250),
        ("TALLY_PARTITIONS", "1_6"),
        ("TALLY_API_TOKEN", "schlüssel"),
        ("TALLY_API_TOKEN", "two words"),
        ("TALLY_API_TOKEN", "line\tbreak"),
        ("TALLY_LISTEN", ":6066"),
        ("TALLY_LISTEN", "a host:6066"),
        ("TALLY_LISTEN", "localhost:"),
        ("TALLY_LISTEN", "localhost:65536"),
        ("TALLY_KEEP_MINUTE", "0s"),
        ("TALLY_KEEP_DAY", "99999999999999999d"),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    """A value that would fail later, somewhere else, fails at the start under its own name."""
    assert [fault[0] for fault in faults(**{name: value})] == [name]


@pytest.mark.parametrize(
    "url",
    [
        "redis://[::1]/0",
        "redis://[::1]:6380/0",
        "rediss://user:p%40ss@cache.example",
        "redis+cluster://a:7000,b:7001,c",
        "redis+sentinel://s1,s2:26379/main",
    ],
)
def test_every_form_of_a_redis_url_is_taken_as_it_is(url: str) -> None:
    """IPv6, passwords, several hosts, with a port or without."""
    assert from_environment({"TALLY_REDIS": url}).redis == url


def test_port_zero_lets_the_machine_choose() -> None:
    """Tests and several workers on one machine listen on whatever is free."""
    assert from_environment({"TALLY_LISTEN": "127.0.0.1:0"}).listen == "127.0.0.1:0"


def test_the_api_needs_a_token_to_be_reached_from_outside() -> None:
    """On loopback it needs none; the worker, which serves no API, starts all the same."""
    outside = {"TALLY_API_LISTEN": "0.0.0.0:8080"}
    assert api_fault(from_environment(outside)) == (
        "TALLY_API_LISTEN is 0.0.0.0:8080, which others can reach: set TALLY_API_TOKEN, or use 127.0.0.1"
    )
    assert api_fault(from_environment({**outside, "TALLY_API_TOKEN": "t0ken"})) is None
    for address in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080"):
        assert api_fault(from_environment({"TALLY_API_LISTEN": address})) is None


def test_a_slip_in_a_name_is_noticed() -> None:
    """A misspelt variable would leave a default in place; what Kubernetes or the tests set is no slip."""
    environment = {
        "TALLY_EVENT_TOPIC": "x",
        "TALLY_MAXAGE": "1d",
        "TALLY_API_PORT": "tcp://10.0.0.1:80",
        "TALLY_API_SERVICE_HOST": "10.0.0.1",
        "TALLY_TEST_KAFKA": "x",
        "TALLY_HO": "merry",
    }
    assert slips(environment) == [
        ("TALLY_EVENT_TOPIC", "is no setting: did you mean TALLY_EVENTS_TOPIC?"),
        ("TALLY_MAXAGE", "is no setting: did you mean TALLY_MAX_AGE?"),
    ]


def test_help_lists_every_variable_with_its_default_and_range() -> None:
    """`tally worker --help` prints these lines: one for each variable, columns aligned."""
    lines = help_lines()
    assert [line.split()[0] for line in lines] == [variable.name for variable in VARIABLES]
    assert len({match.start() for line in lines if (match := re.search(r"(?<=  )\S", line))}) == 1
    assert lines[8] == (
        "TALLY_MAX_AGE         7d                        how far before its partition's clock an event may lie; "
        "ids are remembered for this and TALLY_MAX_AHEAD (duration; 1s to 3660d)"
    )


def test_the_page_of_settings_lists_each_with_its_default_unit_and_range() -> None:
    """docs/settings.md has a row for every variable, in the order of the help text, as the program knows it."""
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `TALLY_")]
    assert rows == [
        f"| `{variable.name}` | {f'`{variable.default}`' if variable.default else 'none'} | {variable.help} | "
        f"{variable.bounds} |"
        for variable in VARIABLES
    ]
