"""The Prometheus rules: tested by promtool, and asking only for series that a worker really has."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from stream.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\btally_[a-z0-9_]+")


def rules() -> list[dict[str, str]]:
    """Every rule of every file, recording and alerting."""
    found = []
    for path in sorted((DEPLOY / "rules").glob("*.yml")):
        for group in YAML(typ="safe").load(path)["groups"]:
            found += group["rules"]
    return found


def exported() -> set[str]:
    """The names that a worker's /metrics can show, `_bucket`, `_sum` and `_count` included."""
    telemetry = Telemetry(CollectorRegistry(), process=False)
    telemetry.partition(0)
    names = set()
    for family in telemetry.registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def test_rules_ask_for_series_that_exist() -> None:
    """A renamed metric would leave an alert that never fires: every name in a rule is exported or recorded."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = exported() | {part for name in recorded for part in NAME.findall(name)}
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    assert asked - known == set()
    asked_recordings = {name for rule in rules() for name in re.findall(r"\bjob:[a-z0-9_:]+", rule["expr"])}
    assert asked_recordings - recorded == set()


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (Debian: prometheus)")
def test_promtool_finds_the_rules_at_work() -> None:
    """The configuration is valid, and each alert fires and stays silent as deploy/prometheus/tests says."""
    assert PROMTOOL is not None
    subprocess.run([PROMTOOL, "check", "config", str(DEPLOY / "prometheus.yml")], check=True)
    tests = [str(path) for path in (DEPLOY / "tests").glob("*.yml")]
    subprocess.run([PROMTOOL, "test", "rules", *tests], check=True)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (Debian: prometheus)")
@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules() if "alert" in rule])
def test_each_alert_is_missed_by_its_test(alert: str, tmp_path: Path) -> None:
    """With any one alert silenced the rules' own tests fail: none of them is untested."""
    assert PROMTOOL is not None
    shutil.copytree(DEPLOY, tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "rules" / "alerts.yml"
    yaml = YAML()
    loaded = yaml.load(path)
    (group,) = loaded["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["alert"] == alert]
    rule["expr"] = f"({rule['expr']}) and vector(1) > 2"
    yaml.dump(loaded, path)
    tests = [str(path) for path in (tmp_path / "prometheus" / "tests").glob("*.yml")]
    done = subprocess.run([PROMTOOL, "test", "rules", *tests], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"alertname: {alert}" in done.stdout + done.stderr
