"""Mended events fold into the metrics that could not use them, once for each entry and metric."""

from schemas.definitions import EventRule
from tests.partitions import NOON, Record, World, counter, definitions, event, headers_of

METRICS = definitions(
    counter("calls"),
    counter("sum", "sum", property="v", group_by=("g",)),
    counter("last", "latest", property="v", windows=("month",)),
)


def replay(offset: int, value: object, metrics: str, entry: str = "usage-rejected/0/0", at: float = NOON) -> Record:
    """The event with the id "x", sent again with a mended value."""
    headers = [("tally-replay", entry.encode()), ("tally-metrics", metrics.encode())]
    return event(offset, at, id="x", p={"v": value, "g": "m"}, headers=headers)


def test_a_mended_event_folds_into_the_named_metrics_alone() -> None:
    """The count stays, the sums and the group's get the value."""
    world = World(METRICS)
    world.run(event(0, id="x", p={"v": "?", "g": "m"}), event(1, p={"v": 5, "g": "m"}))
    assert headers_of(world.outbox[0])["tally-metrics"] == "sum,last"
    world.run(replay(2, 7, "sum,last"))
    assert world.windows("calls")["total"][0][2] == "2"
    for name in ("sum", 'sum{"g":"m"}'):
        assert world.windows(name)["total"] == [[None, None, "12", 2, ""]]
        assert world.windows(name)["hour"] == [[NOON, NOON + 3600, "12", 2, ""]]
    assert world.windows("last")["month"][0][2:4] == ["7", 2]


def test_the_same_entry_folds_once_for_each_metric() -> None:
    """Sent twice in one block, again later, and after a takeover: once. A metric not yet mended still can be."""
    world = World(METRICS)
    world.run(event(0, id="x", p={"v": "?"}))
    world.run(replay(1, 7, "sum"), replay(2, 7, "sum"))
    world.run(replay(3, 7, "sum,last"))
    world.restart()
    world.run(replay(4, 9, "sum,last"))
    assert world.windows("sum")["total"] == [[None, None, "7", 1, ""]]
    assert world.windows("last")["month"][0][2:4] == ["7", 1]
    counts = world.partition.header.counts
    assert (counts.counted, counts.replayed) == (1, 4)


def test_a_replay_that_fails_again_can_be_sent_again() -> None:
    """Its new entry says which one it mends, so that the next attempt is one for the same entry."""
    world = World(METRICS)
    world.run(event(0, id="x", p={"v": "?"}))
    world.run(replay(1, "still not", "sum,last"))
    again = headers_of(world.outbox[-1])
    assert (again["tally-kind"], again["tally-metrics"]) == ("partial", "sum,last")
    assert again["tally-replay"] == "usage-rejected/0/0"
    world.run(replay(2, 3, "sum,last"), replay(3, 3, "sum,last"))
    assert world.windows("sum")["total"] == [[None, None, "3", 1, ""]]


def test_a_mended_event_counts_in_its_own_windows() -> None:
    """Late ones go into closed windows that are kept, and none that is not."""
    world = World(METRICS)
    world.run(event(0, NOON - 86400, stamp=NOON, id="x", p={"v": "?"}), event(1, NOON, p={"v": 1}))
    world.run(replay(2, 5, "sum", at=NOON - 86400))
    assert world.windows("sum")["total"][0][2] == "6"
    assert world.usage(NOON - 86400)["sum", "{}", "hour"] == ("5", 1)


def test_of_an_upsert_a_mended_value_is_replaced_as_well() -> None:
    """What a replay added belongs to its event: a replacement takes it away with the rest."""
    world = World(
        definitions(counter("calls"), counter("sum", "sum", property="v"), events={"call": EventRule("upsert")})
    )
    world.run(event(0, id="x", p={"v": "?"}))
    world.run(replay(1, 7, "sum"))
    assert world.windows("sum")["total"][0][2] == "7"
    world.run(event(2, id="x", p={"v": 2}))
    assert world.windows("sum")["total"] == [[None, None, "2", 1, ""]]
    assert world.windows("calls")["total"][0][2] == "1"
