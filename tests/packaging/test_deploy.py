"""docker-compose.yml, the Dockerfile and the dashboard: they fit the code, and what they name is there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from schemas.load import load
from stream.settings import VARIABLES
from tests.packaging.test_prometheus_rules import NAME, exported, rules

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tallystream.json"
# what every exporter has beside its own series
COMMON = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def compose() -> Any:
    """The compose file, anchors resolved."""
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")


def test_compose_file_is_valid() -> None:
    """It holds to the compose specification."""
    program = Path(sys.executable).with_name("check-jsonschema")
    check = [str(program), "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_has_a_health_check_and_is_reached_from_this_machine_only() -> None:
    """Workers have theirs from the image; no port is open to the network."""
    services = compose()["services"]
    assert sorted(services) == ["api", "grafana", "kafka", "prometheus", "redis", "worker-1", "worker-2"]
    checked = {name for name, service in services.items() if "healthcheck" in service}
    assert checked == {"api", "grafana", "kafka", "prometheus", "redis"}
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    ports = [port for service in services.values() for port in service["ports"]]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_variables_are_those_that_the_settings_know() -> None:
    """A misspelt TALLY_ variable in the compose file or the image would silently do nothing."""
    known = {variable.name for variable in VARIABLES}
    services = compose()["services"]
    asked = {
        name for service in services.values() for name in service.get("environment", {}) if name.startswith("TALLY_")
    }
    asked |= set(re.findall(r"TALLY_[A-Z_]+", (ROOT / "Dockerfile").read_text()))
    assert asked - known == set()
    assert {"TALLY_KAFKA", "TALLY_REDIS", "TALLY_METRICS", "TALLY_LISTEN", "TALLY_ADVERTISE"} <= asked


def test_mounted_and_copied_files_exist() -> None:
    """Each path that the compose file mounts or the Dockerfile copies is in the repository."""
    services = compose()["services"]
    mounts = [volume.partition(":")[0] for service in services.values() for volume in service["volumes"]]
    missing = [mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    names = [name for line in copied for name in line.split()]
    missing += [name for name in names if not (ROOT / name).exists()]
    assert missing == []
    assert sorted(names) == sorted(kept)


def test_example_definitions_are_right() -> None:
    """The workers of the compose file start with the definitions that it mounts."""
    path = ROOT / "deploy" / "metrics.yaml"
    assert sorted(load(path.read_text(), str(path)).metrics) == ["requests", "seats", "tokens"]


def test_dashboard_asks_for_series_that_exist() -> None:
    """A renamed metric would leave an empty panel: every name in a query is exported or recorded."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) == 31
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked_recordings = {name for query in queries for name in re.findall(r"\bjob:[a-z0-9_:]+", query)}
    assert asked_recordings - recorded == set()
    known = exported() | COMMON | {part for name in recorded for part in NAME.findall(name)}
    asked = {name for query in queries for name in re.findall(r"\b(?:tally|process)_[a-z0-9_]+", query)}
    assert asked - known == set()


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    """Every panel has a title, a description and its own place on a grid of 24 columns."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_continuous_integration_calls_what_a_person_calls() -> None:
    """.ci/run runs make targets, all of which exist, and bash accepts it."""
    script = (ROOT / ".ci" / "run").read_text()
    called = re.findall(r"^ *(?:if )?step \d+ make ([a-z-]+)", script, re.MULTILINE)
    assert called == ["setup", "check", "test", "test-kafka", "chaos", "demo"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(called) <= set(targets)
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n", str(ROOT / ".ci" / "run")], check=True)
