"""`tally check`: whether the gate would let a customer use so much more."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from tallygate import Check, Gate, GateUnavailable

from schemas import durations
from tally.cli import Command, json_option
from tally.config import settings
from tally.output import print_json
from tally.store import Unreachable


class Amount(click.ParamType):
    """A number of 0 or more, exactly as written."""

    name = "NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it."""
        try:
            found = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is no number", param, ctx)
        if not found.is_finite() or found < 0:
            self.fail(f"{value} is not 0 or more", param, ctx)
        return found


class Staleness(click.ParamType):
    """A duration as in the definitions; the value is seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read 250ms, 5s, 10m."""
        if isinstance(value, float):
            return value
        try:
            return durations.parse(str(value)) / 1_000_000
        except ValueError as fault:
            self.fail(str(fault), param, ctx)


class Pair(click.ParamType):
    """One property of a group; the value is (name, value)."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Read `model=m1`; a number, true, false and quoted text are read as JSON, all else is text."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not NAME=VALUE, such as model=m1", param, ctx)
        try:
            found = json.loads(text, parse_float=Decimal)
        except ValueError:
            found = text
        if found is None or isinstance(found, list | dict):
            self.fail(f"{value!r}: a group has text, numbers, true or false", param, ctx)
        return name, found


@click.command(
    cls=Command,
    short_help="Ask the gate whether a customer may use so much more.",
    example="""
tally check --customer acme --metric api_requests
tally check --customer acme --metric tokens --cost 1500 --group model=m1 --json
tally check --customer acme --metric tokens && echo go ahead""",
)
@click.option("--customer", required=True, help="The customer's id, or an alias.")
@click.option("--metric", required=True, help="The metric's key.")
@click.option("--cost", type=Amount(), default="1", show_default=True, help="How much more.")
@click.option(
    "--group", "pairs", type=Pair(), multiple=True, help="A property of the metric's group_by, repeated for each."
)
@click.option("--max-staleness", type=Staleness(), help="How old the totals may be, such as 5s; else each limit's own.")
@json_option
def command(
    customer: str,
    *,
    metric: str,
    cost: Decimal,
    pairs: tuple[tuple[str, Any], ...],
    max_staleness: float | None,
    as_json: bool,
) -> None:
    """Ask whether every limit allows so much more. Nothing changes; to hold a place, reserve (docs/http-api.md).

    Exits with 0 where it is allowed and with 1 where it is not, or where Redis does not answer.
    """
    config = settings()
    try:
        with Gate.from_url(config.redis, config.app) as gate:
            found = gate.check(customer, metric, cost, dict(pairs) or None, max_staleness)
    except GateUnavailable as away:
        raise Unreachable(config.redis, away) from away
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from wrong
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(sentence(found))
    if not found.allowed:
        raise SystemExit(1)


_WHY = {
    "no_limit": "no limit applies",
    "unknown_metric": "no metric of this key is defined",
    "limit_reached": "the limit is reached",
    "soft_limit_reached": "the soft limit is reached",
    "stale": "the totals are too old to tell",
}


def sentence(found: Check) -> str:
    """The answer for a person."""
    head = f"{'allowed' if found.allowed else 'NOT ALLOWED'}: {found.metric}"
    if found.reason in _WHY:
        head += f", {_WHY[found.reason]}"
    lines = [head]
    if found.limit is not None:
        where = f" a {found.window}" if found.window and found.window != "total" else ""
        used = f"{_text(found.used)} used, {_text(found.reserved)} reserved, {_text(found.remaining)} remaining"
        lines.append(f"{used} of {_text(found.limit)}{where}")
    answer = found.to_json()
    if found.resets_at is not None:
        lines.append(f"resets at {answer['resets_at']}")
    if found.warnings:
        lines.append(
            f"passed: {', '.join(f'{share * 100:f}'.rstrip('0').rstrip('.') + '%' for share in found.warnings)}"
        )
    if found.lag_ms is not None:
        lines.append(f"as of {answer['as_of']}, {found.lag_ms} ms ago")
    return "\n".join(lines)


def _text(amount: Decimal | None) -> str:
    return "nothing" if amount is None else format(amount, "f")
