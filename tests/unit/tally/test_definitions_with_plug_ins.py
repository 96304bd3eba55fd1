"""A metric type that another distribution brings is known to every command, by its entry point alone."""

from pathlib import Path

import click
import pytest

from schemas.faults import Fault, Faults
from stream.settings import from_environment
from tally.config import rules, settings
from tally.definitions import load

MODULE = """
class Median:
    name = "median_of_tests"
    fields = ("compression",)

    def faults(self, definition):
        compression = definition.extra.get("compression", 100)
        return [] if compression >= 10 else [("compression", f"is {compression}: write 10 or more")]

    def build(self, definition, terms):
        raise NotImplementedError
"""
FILE = """\
metrics:
  m: {{event_name: e, type: {type}, property: ms, {field}: {value}}}
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that offers one metric type."""
    about = tmp_path / "median_of_tests-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: median-of-tests\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tallystream.metrics]\nmedian_of_tests = median_of_tests:Median\n")
    (tmp_path / "median_of_tests.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def written(tmp_path: Path, **fields: str) -> Path:
    """A file with one metric of the plug-in's type, some fields changed."""
    path = tmp_path / "metrics.yaml"
    path.write_text(FILE.format(**{"type": "median_of_tests", "field": "compression", "value": "50", **fields}))
    return path


def test_a_plug_in_is_found_and_gets_its_fields(tmp_path: Path) -> None:
    """Nothing of ours names it."""
    assert load(written(tmp_path)).metrics["m"].extra == {"compression": 50}


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({"value": "5"}, Fault("metrics.m.compression", 2, "is 5: write 10 or more")),
        (
            {"field": "compresion"},
            Fault("metrics.m.compresion", 2, "is no field of a median_of_tests: did you mean compression?"),
        ),
        (
            {"type": "median_of_test"},
            Fault("metrics.m.type", 2, '"median_of_test" is no type of metric: did you mean median_of_tests?'),
        ),
    ],
)
def test_its_faults_are_told_like_any_other(tmp_path: Path, fields: dict[str, str], fault: Fault) -> None:
    """Its own sentences, unknown fields and a slip in its name, each with path and line."""
    with pytest.raises(Faults) as found:
        load(written(tmp_path, **fields))
    assert fault in found.value.faults


def test_a_slip_in_a_settings_name_is_told_as_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command goes on with the default, and says so where somebody sees it."""
    monkeypatch.setenv("TALLY_EVENT_TOPIC", "usage")
    assert settings().events_topic == "usage-events"
    assert capsys.readouterr().err == ("warning: TALLY_EVENT_TOPIC is no setting: did you mean TALLY_EVENTS_TOPIC?\n")


def test_every_setting_that_verdicts_depend_on_reaches_the_fold() -> None:
    """What an operator sets is what decides; none of them stays at its default on the way."""
    made = rules(
        from_environment(
            {
                "TALLY_APP": "other",
                "TALLY_MAX_AGE": "1d",
                "TALLY_MAX_AHEAD": "1m",
                "TALLY_KEEP_MINUTE": "1m",
                "TALLY_KEEP_HOUR": "1h",
                "TALLY_KEEP_DAY": "2d",
                "TALLY_KEEP_LONGER": "3d",
                "TALLY_SLIDING_LATE": "4m",
            }
        )
    )
    day = 86_400_000_000
    assert (made.app, made.max_age_us, made.max_ahead_us) == ("other", day, 60_000_000)
    assert made.keep_us == (60_000_000, 3_600_000_000, 2 * day, *[3 * day] * 5, None)
    assert made.sliding_late_us == 240_000_000


def test_a_plug_in_that_is_broken_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own exception does not become a traceback of ours."""
    about = tmp_path / "broken_of_tests-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-of-tests\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[tallystream.metrics]\nbroken_of_tests = broken_of_tests:Broken\n")
    (tmp_path / "broken_of_tests.py").write_text("raise OSError('no such library')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(click.ClickException, match="The metric type 'broken_of_tests' cannot be used: no such library"):
        load(written(tmp_path, type="broken_of_tests"))
