"""The last step before a value leaves: a definition's `rounding`."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from schemas.definitions import Rounding
from stream.core.metrics.base import Value
from stream.core.text import WIDE, decimal_of, plain, text

_MODES = {"round": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}


def rounded(value: Value, rounding: Rounding | None) -> str:
    """The text of a value after its rounding: `round` is half away from zero, `ceil` up, `floor` down.

    A fraction without a finite decimal is first cut to 18 digits, half-even, as without rounding.

    >>> rounded(Decimal("2.5"), Rounding("round")), rounded(Decimal("-2.5"), Rounding("round"))
    ('3', '-3')
    >>> rounded(Decimal("1.201"), Rounding("ceil", 2)), rounded(-1250, Rounding("floor", -2))
    ('1.21', '-1300')
    >>> rounded(Decimal("1.50"), None), rounded(Decimal("1.50"), Rounding("round", 3))
    ('1.5', '1.5')
    """
    if rounding is None:
        return str(value) if value.__class__ is int else text(value)
    return plain(rounded_decimal(value, rounding))


def rounded_decimal(value: Value, rounding: Rounding) -> Decimal:
    """The same as a number."""
    exact = decimal_of(value)
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= rounding.precision:
        return exact
    step = Decimal(1).scaleb(-rounding.precision, WIDE)
    return exact.quantize(step, rounding=_MODES[rounding.mode], context=WIDE)
