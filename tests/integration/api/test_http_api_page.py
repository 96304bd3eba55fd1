"""Every command of docs/http-api.md runs, in the page's order, and prints what the page says."""

import re
from pathlib import Path

from tally.servers import EmbeddedKafka, EmbeddedRedis, free_port
from tests.integration.readme.pages import ROOT, steps
from tests.integration.readme.running import SETTLE, run

PAGE = ROOT / "docs" / "http-api.md"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    """One shell runs all blocks from top to bottom; each block's output is compared with the one shown below it."""
    metrics = re.search(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert metrics is not None
    (tmp_path / "metrics.yaml").write_text(metrics[1])
    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        worker, api = (f"127.0.0.1:{free_port()}" for _ in range(2))
        replaced = {
            "127.0.0.1:6066": worker,
            "127.0.0.1:8080": api,
            "sleep 1\n": f"python3 {SETTLE} {redis.url} tally\n",  # a test waits for the condition, a reader a second
            "tally worker 2>": f"export PATH=$PWD/.venv/bin:$PATH TALLY_KAFKA={kafka.bootstrap} TALLY_REDIS={redis.url} "
            f"TALLY_LISTEN={worker} TALLY_API_LISTEN={api}\ntally worker 2>",
        }
        found = list(steps(PAGE, replaced))
        printed = run(found, tmp_path)
    assert len(printed) == len(found) > 8
    for step, output in zip(found, printed, strict=True):
        assert step.fits(output), f"{step.code}\nprinted\n{output}\nand not\n{step.shown}"
