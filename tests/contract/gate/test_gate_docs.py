"""The programs in docs/gating.md run as they stand."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tallygate import Gate
from tallygate.testing import AsyncFakeGate, FakeGate, FakeLimit, FakeMetric

PAGE = (Path(__file__).parents[3] / "docs" / "gating.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.+?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def program(begins: str) -> Any:
    """The page's program that begins so, as a module."""
    (text,) = [text for text in PROGRAMS if text.startswith(begins)]
    module = ModuleType(begins.removeprefix("# ").removesuffix(".py"))
    sys.modules[module.__name__] = module
    exec(compile(text, "docs/gating.md", "exec"), module.__dict__)
    return module


def test_the_fastapi_dependency() -> None:
    """A request is let in, refused with 429, and answered with 503 where the limits are stale or not to be had."""
    testclient = pytest.importorskip("fastapi.testclient")
    page = program("# gate_api.py")
    fake = FakeGate(limits=[FakeLimit("api_requests", 2, window="hour")])
    page.app.dependency_overrides[page.gate] = lambda: AsyncFakeGate(fake)
    with testclient.TestClient(page.app) as http:

        def get() -> tuple[int, Any]:
            answer = http.get("/hello", headers={"x-customer": "acme"})
            return answer.status_code, answer.json()

        assert get() == (200, {"remaining": "2"})
        fake.count("acme", "api_requests", 2)
        assert get() == (429, {"detail": "The limit of 2 is reached until 2026-03-05 13:00:00+00:00"})
        fake.stall()
        fake.advance(60)
        assert get() == (503, {"detail": "The limits are not up to date"})
        fake.unavailable = True
        assert get() == (503, {"detail": "The limits cannot be asked"})


def test_the_celery_task() -> None:
    """A task reserves, sends its event once, and is retried where it is refused; a repeated run does nothing more."""
    pytest.importorskip("celery")
    page = program("# gate_tasks.py")
    page.app.conf.task_always_eager = True
    fake = FakeGate(limits=[FakeLimit("tokens", 1500)])
    sent: list[dict[str, Any]] = []
    page.gate, page.send = fake, sent.append
    assert page.summarize.apply(("acme", "one two three"), task_id="job-1").get() == "one two three"
    assert sent == [
        {
            "id": "summary-job-1",
            "event_name": "summary",
            "customer_id": "acme",
            "timestamp": "2026-03-05T12:00:00+00:00",
            "reservation": "job-1",
            "properties": {"tokens": 3},
        }
    ]
    assert fake.check("acme", "tokens").reserved == 1000
    with pytest.raises(RuntimeError, match="1500"):
        page.summarize.apply(("acme", "four"), task_id="job-2").get()
    fake.count("acme", "tokens", 3, reservation="job-1")
    assert page.summarize.apply(("acme", "one two three"), task_id="job-1").get() is None
    assert len(sent) == 1


def test_the_other_programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first program prints why a request is refused, the lines take all or nothing, the example test passes."""
    fake = FakeGate(limits=[FakeLimit("calls", 5), FakeLimit("tokens", 5000)])
    monkeypatch.setattr(Gate, "from_url", lambda *_, **__: FakeGate(limits=[FakeLimit("api_requests", 0)]))
    program("from tallygate import Gate\n")
    assert capsys.readouterr().out == "limit_reached 0 2026-04-01 00:00:00+00:00\n"
    lines = program("from tallygate import Gate, Line\n")
    fake.define([FakeLimit("calls", 5), FakeLimit("tokens", 5000)], metrics={"tokens": FakeMetric(group_by=("model",))})
    assert lines.admit(fake, "acme") is not None
    assert lines.admit(fake, "acme") is None
    assert fake.check("acme", "calls").reserved == 1
    program("# test_mine.py").test_the_third_request_is_refused()


def test_the_page_knows_every_reason() -> None:
    """Every reason that a gate gives stands in the page."""
    reasons = {"ok", "settled", "limit_reached", "soft_limit_reached", "no_limit", "unknown_metric", "stale"}
    assert reasons <= set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
