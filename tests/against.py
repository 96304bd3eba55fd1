"""The product's answer beside the judge's. The only place here that imports the product."""

import json

from tests.generators.cases import Case, difference, normal
from tests.oracle.recount import recount
from tests.oracle.values import Number


def compare(case: Case) -> str | None:
    """The first difference between `tally simulate` and the recount, in words; None where they agree."""
    from schemas.load import load
    from schemas.totals import encode
    from stream.core.simulate import simulate

    expected = normal(recount(case.definitions, case.lines, case.at, case.billable))
    try:
        definitions = load(case.text, "metrics.json")
    except ValueError as faults:
        return f"refused: {faults}"
    try:
        answer = simulate(definitions, list(case.lines), at=case.at, billable=case.billable)
        got = json.loads(encode(answer), parse_float=Number)
    except Exception as error:  # noqa: BLE001 - whatever the product raises is a difference
        return f"raised: {type(error).__name__}: {error}"
    return difference(expected, normal(got))
