"""`python -m bench.pictures.dashboard > docs/dashboard.svg`: the Grafana dashboard's queries, drawn from real answers.

There is no Grafana here: this asks a real Prometheus every query of deploy/grafana/dashboards/tallystream.json over the
last minutes, while two real workers count the demo's traffic and one of them is killed, and draws each panel in its place.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tally import kafka
from tally.demo.traffic import METRICS, Traffic, duplicates
from tally.processes import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis
from tally.topics import ensure_events
from tests.servers.workers import Prometheus

ROOT = Path(__file__).parents[2]
SECONDS, KILL_AT, RATE, STEP_S = 100.0, 60.0, 1_000.0, 2
CELL_X, CELL_Y, GAP = 48, 24, 6  # pixels of a cell of Grafana's grid
COLOURS = ("#2f7ed8", "#e4572e", "#3aa76d", "#a26ccf", "#d9a400", "#17a2b8", "#8c564b", "#7f7f7f")

Series = tuple[str, list[tuple[float, float]]]


def main() -> None:
    """Run all of it for some minutes, and print the picture."""
    panels = json.loads((ROOT / "deploy/grafana/dashboards/tallystream.json").read_text())["panels"]
    with ExitStack() as stack:
        broker, redis = stack.enter_context(EmbeddedKafka()), stack.enter_context(EmbeddedRedis())
        metrics = redis.directory / "metrics.yaml"
        metrics.write_text(METRICS)
        asyncio.run(ensure_events(broker.bootstrap, "usage-events", 8))
        settings = {"TALLY_KAFKA": broker.bootstrap, "TALLY_REDIS": redis.url, "TALLY_METRICS": str(metrics)}
        workers = [stack.enter_context(WorkerProcess(settings, 6.0)) for _ in range(2)]
        prometheus = stack.enter_context(Prometheus([worker.address for worker in workers]))
        began = time.time()
        asyncio.run(traffic(broker.bootstrap, workers, began))
        drawn = [
            draw(panel, [found for one in panel["targets"] for found in ask(prometheus, one, began)])
            for panel in panels
        ]
    kernel = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    words = (
        f"Drawn from the answers of Prometheus to the dashboard's own queries (this is not Grafana): two workers, "
        f"{RATE:,.0f} events a second for {SECONDS:.0f} s, one worker killed after {KILL_AT:.0f} s. {kernel}, embedded servers."
    )
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * CELL_Y + 30
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * CELL_X}" height="{height}" '
        f'viewBox="0 0 {24 * CELL_X} {height}" font-family="system-ui, sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#f4f5f7"/>\n' + "\n".join(drawn) + "\n"
        f'<text x="{GAP}" y="{height - 10}" fill="#555">{escape(words)}</text>\n</svg>'
    )


async def traffic(bootstrap: str, workers: list[WorkerProcess], began: float) -> None:
    """The demo's events, some of them twice, some not to be read; one worker is killed on the way."""
    made, again, number, killed = Traffic(), duplicates(SECONDS, RATE), 0, False
    async with kafka.producer(bootstrap) as producer:
        while (elapsed := time.time() - began) < SECONDS:
            if elapsed > KILL_AT and not killed:
                killed = True
                await asyncio.to_thread(workers[0].kill)
            while number < elapsed * RATE:
                number += 1
                customer, line = made.event(time.time())
                for value in [line, line] if next(again) else [line]:
                    await producer.send("usage-events", value, key=customer.encode())
                if number % 700 == 0:
                    await producer.send("usage-events", b"{", key=b"acme")
            await asyncio.sleep(0.01)


def ask(prometheus: Prometheus, target: dict[str, str], began: float) -> list[Series]:
    """A query over the whole time: each series' name, as the panel's legend has it, and its points."""
    query = {"query": target["expr"].replace("$job", "tally"), "start": began, "end": time.time(), "step": STEP_S}
    with urllib.request.urlopen(
        f"http://{prometheus.address}/api/v1/query_range?{urllib.parse.urlencode(query)}", timeout=30
    ) as answer:
        results = json.load(answer)["data"]["result"]
    found = []
    for result in results:
        name = target.get("legendFormat", "")
        for label, value in result["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        points = [(at - began, float(value)) for at, value in result["values"] if value not in {"NaN", "+Inf", "-Inf"}]
        found.append((name, points))
    return found


def draw(panel: dict[str, Any], series: list[Series]) -> str:
    """One panel in its place: a number where it is one in Grafana, else lines from 0 up with the greatest value told."""
    at, unit = panel["gridPos"], panel["fieldConfig"]["defaults"].get("unit", "short")
    x, y = at["x"] * CELL_X + GAP / 2, at["y"] * CELL_Y + GAP / 2
    wide, high = at["w"] * CELL_X - GAP, at["h"] * CELL_Y - GAP
    parts = [
        f'<g transform="translate({x:g} {y:g})"><rect width="{wide}" height="{high}" rx="3" fill="#fff" stroke="#dde"/>',
        f'<text x="8" y="16" fill="#333" font-weight="600">{escape(panel["title"])}</text>',
    ]
    series = [(name, points) for name, points in series if points]
    if panel["type"] == "stat":
        value = shown(series[0][1][-1][1], unit) if series else "no data"
        parts.append(
            f'<text x="{wide / 2:g}" y="{high - 22}" font-size="26" text-anchor="middle" fill="#2f7ed8">{value}</text>'
        )
        return "".join(parts) + "</g>"
    most = max((value for _, points in series for _, value in points), default=0.0)
    top, bottom, left, right = 42.0, high - 10.0, 8.0, wide - 8.0
    for number, (_, points) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(
            f"{left + (right - left) * at_s / SECONDS:.1f},{bottom - (bottom - top) * (value / most if most else 0):.1f}"
            for at_s, value in points
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    parts.append(f'<text x="{wide - 8}" y="16" fill="#777" text-anchor="end">up to {shown(most, unit)}</text>')
    spans = "".join(
        f'<tspan fill="{COLOURS[number % len(COLOURS)]}">{escape(name)}  </tspan>'
        for number, (name, _) in enumerate(series[:8])
    )
    parts.append(f'<text x="8" y="32" xml:space="preserve">{spans or "no series: nothing of it happened"}</text></g>')
    return "".join(parts)


def shown(value: float, unit: str) -> str:
    """A value as a panel spells it.

    >>> shown(0.0412, "s"), shown(1234.5, "ops"), shown(0.0014, "percentunit"), shown(130_000_000.0, "bytes")
    ('41 ms', '1,234 /s', '0.14 %', '130 MB')
    """
    if unit == "s":
        return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"
    if unit == "percentunit":
        return f"{value * 100:.2f} %"
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    text = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return text + (" /s" if unit == "ops" else "")


if __name__ == "__main__":
    print("This takes some three minutes.", file=sys.stderr)
    main()
