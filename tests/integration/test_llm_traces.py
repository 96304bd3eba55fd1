"""Real input: two production services' LLM calls, to the token."""

import json
from datetime import datetime
from random import Random

from tests.integration.traces import DEFINITIONS, TOTALS, folder, minutes_by_sql, shuffled
from tests.oracle.recount import recount


def test_the_judge_and_sql_agree_with_the_published_table() -> None:
    """The naive recount and DuckDB, which share nothing, both come to the data set's own totals."""
    where = folder()
    answer = recount(DEFINITIONS, [call.value for call in shuffled(where, Random(7))])
    found = {(row["customer"], row["metric"]): row["value"] for row in answer["rows"] if row["window"] == "total"}
    assert found == TOTALS
    assert answer["duplicates"] == 1_441
    by_sql: dict[tuple[str, str], int] = dict.fromkeys(TOTALS, 0)
    for (customer, metric, _), value in minutes_by_sql(where).items():
        by_sql[customer, metric] += int(value)
    assert {key: str(value) for key, value in by_sql.items()} == TOTALS


def test_simulate_counts_the_traces_to_the_token() -> None:
    """Shuffled within a minute and with 5 % sent twice, `tally simulate`'s fold gives the published totals and SQL's minutes."""
    from schemas.load import load
    from stream.core.simulate import simulate

    where = folder()
    answer = simulate(
        load(json.dumps(DEFINITIONS), "metrics.json"), [call.value for call in shuffled(where, Random(7))]
    )
    found = {(row["customer"], row["metric"]): row["value"] for row in answer["rows"] if row["window"] == "total"}
    assert found == TOTALS
    assert answer["duplicates"] == 1_441
    minutes = {
        (row["customer"], row["metric"], int(datetime.fromisoformat(row["start"]).timestamp())): row["value"]
        for row in answer["rows"]
        if row["window"] == "minute"
    }
    assert minutes == minutes_by_sql(where)
