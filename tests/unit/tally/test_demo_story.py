"""What the demo says of what it saw, and when it calls itself wrong."""

from schemas.load import load
from tally.demo.crowd import Crowd
from tally.demo.probing import latency_ms, standstill
from tally.demo.story import Result
from tally.demo.telling import Teller
from tally.demo.traffic import METRICS


def test_a_gate_that_is_not_exact_is_a_difference() -> None:
    """One admitted too many, one too few, and a hold that nothing settled are each told."""
    assert Crowd(asked=2560, admitted=1000, used=1000).differences() == []
    assert Crowd(asked=2560, admitted=1001, used=1001).differences() == [
        "the gate admitted 1001 of 2560, the limit is 1000",
        "the gate says used 1001 and reserved 0, not 1000 and 0",
    ]
    assert len(Crowd(asked=2560, admitted=999, used=999).differences()) == 2
    assert Crowd(asked=2560, admitted=1000, used=999, reserved=1).differences() == [
        "the gate says used 999 and reserved 1, not 1000 and 0",
    ]


def test_the_limit_that_is_competed_for_stands_in_the_definitions() -> None:
    """The demo's metrics file is right, and limits jobs to the crowd's number."""
    (limit,) = load(METRICS).limits
    assert (limit.metric, limit.window, str(limit.limit)) == ("jobs", "total", "1000")
    assert Crowd().limit == 1000


def test_the_longest_wait_after_the_kill_is_the_standstill() -> None:
    """An event on its way at the kill and seen 2.5 s later; a slow one before the kill and a quick one after do not count."""
    seen = [(1.0, 1.9), (4.9, 7.5), (5.0, 6.0), (8.0, 8.02), (30.0, 31.0)]
    assert standstill(seen, 5.0, 12.0) == 7.5
    assert standstill([(4.0, 4.02), (6.0, 6.02)], 5.0, 12.0) == 5.0
    assert latency_ms(seen, 5.0, 7.5) == {"p50": 900.0, "p99": 1000.0}
    assert latency_ms([], 5.0, 7.5) == {}


def test_lines_fit_the_terminal() -> None:
    """On 30 columns nothing is wider, no word is lost, and as many customers are shown as fit."""
    said: list[str] = []
    tell = Teller(said.append, 30)
    tell.say("one of the two workers is dead, and the other takes over", "  >> ")
    tell.moved(7, 12345, {"acme": 1234, "bolt": 99})
    assert said == [
        "  >> one of the two workers is",
        "  >> dead, and the other takes",
        "  >> over",
        "   7 s  12,345 sent",
    ]
    said.clear()
    Teller(said.append, 56).moved(7, 12345, {"acme": 1234, "bolt": 99, "cedar": 5})
    assert said == ["   7 s  12,345 sent   acme  1,234  bolt     99"]
    Teller(None).say("nothing")


def test_the_figures_come_in_their_order() -> None:
    """`--json` names what was promised first, and differences only where there are some."""
    promised = [
        "sent", "duplicates", "kills", "series", "mismatches", "events_per_second", "pause_ms", "latency_ms", "gate",
    ]  # fmt: skip
    assert list(Result().to_json()) == promised
    assert list(Result(differences=["one"]).to_json()) == [*promised, "differences"]


def test_the_crowd_is_larger_than_its_limit() -> None:
    """Else nothing would compete."""
    from tally.demo import crowd

    assert crowd.CLIENTS * crowd.ASKS == 2560
