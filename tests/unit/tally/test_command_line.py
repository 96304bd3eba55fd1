"""What all commands have in common."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tally.__main__ import COMMANDS, cli


def subcommands(command: click.Command) -> list[click.Command]:
    """A command and all below it."""
    inner = list(command.commands.values()) if isinstance(command, click.Group) else []
    return [command, *(each for one in inner for each in subcommands(one))]


def load(name: str) -> click.Command:
    """One command, imported."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    """`--help` of each command and subcommand ends with an example that calls it."""
    for command in subcommands(load(name)):
        context = click.Context(command, info_name=f"tally {name}")
        text = command.get_help(context)
        assert f"tally {name}" in text.partition("\nExample:\n")[2]


def test_help_imports_no_command() -> None:
    """`tally --help` stays fast: it loads neither Kafka's client nor Redis', nor the rooms below."""
    script = (
        "import sys, json; sys.argv = ['tally', '--help']; from tally.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'aiokafka', 'redis', 'faust', 'msgspec', 'aiohttp', 'numpy', 'stream', 'schemas'}\n"
        "print('LOADED', json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.partition("LOADED ")[2]) == []


def test_an_unknown_command_is_wrong_use_and_names_the_nearest() -> None:
    """A slip of the finger exits with 2 and says what was meant."""
    done = CliRunner().invoke(cli, ["validat"])
    assert done.exit_code == 2
    assert "Did you mean 'validate'?" in done.stderr


def test_a_wrong_setting_is_wrong_use() -> None:
    """A fault in the environment exits with 2 and names the variable."""
    done = CliRunner().invoke(cli, ["key", "acme"], env={"TALLY_PARTITIONS": "many"})
    assert done.exit_code == 2
    assert "TALLY_PARTITIONS" in done.stderr


def test_key_needs_no_server_where_the_partitions_are_told(tmp_path: object) -> None:
    """`tally key --partitions` computes the home as Kafka's clients do, and connects to nothing."""
    done = CliRunner().invoke(
        cli, ["key", "acme", "--partitions", "16", "--json"], env={"TALLY_METRICS": f"{tmp_path}/no"}
    )
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["partition"] == 4
    assert found["keys"]["totals"] == "tally:{4}:u:acme"


def test_key_resolves_an_alias_by_the_metrics_file(tmp_path: object) -> None:
    """An alias has its customer's home, read from TALLY_METRICS where no server is asked."""
    path = f"{tmp_path}/metrics.yaml"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(
            "metrics: {m: {event_name: e, type: counter, aggregation: count}}\ncustomers: {acme: {aliases: [acct_42]}}\n"
        )
    done = CliRunner().invoke(cli, ["key", "acct_42", "--partitions", "16", "--json"], env={"TALLY_METRICS": path})
    found = json.loads(done.stdout)
    assert (found["customer"], found["canonical"], found["partition"]) == ("acct_42", "acme", 4)


def test_validate_prints_every_fault_and_exits_with_1(tmp_path: object) -> None:
    """All faults come at once, each with its line and path; a right file exits with 0."""
    path = f"{tmp_path}/metrics.yaml"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(
            "metrics:\n  m: {event_name: e, type: counter, aggregation: cnt}\n  n: {event_name: e, typ: counter}\n"
        )
    done = CliRunner().invoke(cli, ["validate", path])
    assert done.exit_code == 1
    assert f"{path}:2: metrics.m.aggregation: " in done.stdout
    assert f"{path}:3: metrics.n.typ: " in done.stdout
    found = json.loads(CliRunner().invoke(cli, ["validate", path, "--json"]).stdout)
    assert found["valid"] is False
    assert {"path", "line", "message"} == set(found["faults"][0])
