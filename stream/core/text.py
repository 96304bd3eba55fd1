"""Values as they leave the system: exact decimal strings."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

DIGITS = 18
"""Fractional digits of a value that no finite decimal equals, such as 1/3."""

_SCALE = 10**DIGITS

WIDE = Context(prec=10_000, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
"""Wide enough that no value or rounding of a value is cut by it."""


def text(value: int | Decimal | Fraction) -> str:
    """A value in plain form: no exponent, no zeros that say nothing, never "-0".

    A fraction is exact where a finite decimal equals it, whatever its length; else it is rounded
    half-even to 18 digits after the point.

    >>> text(Decimal("1.50")), text(Decimal("1E+3")), text(Decimal("-0.0")), text(7)
    ('1.5', '1000', '0', '7')
    >>> text(Fraction(1, 8)), text(Fraction(10, 31)), text(Fraction(-1, 3 * 10**18))
    ('0.125', '0.322580645161290323', '0')
    """
    if value.__class__ is int:
        return str(value)
    if value.__class__ is Fraction and _finite(value) is None:
        nearest = _nearest(value)
        digits = str(abs(nearest)).zfill(DIGITS + 1)
        shown = f"{'-' if nearest < 0 else ''}{digits[:-DIGITS]}.{digits[-DIGITS:]}".rstrip("0").rstrip(".")
        return shown if nearest else "0"
    return plain(decimal_of(value))


def plain(number: Decimal) -> str:
    """A decimal in plain form."""
    shown = str(number)
    if shown[-1] != "0" and "E" not in shown:
        return shown
    shown = format(number, "f")
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def decimal_of(value: int | Decimal | Fraction) -> Decimal:
    """The decimal that `text` shows: exact, or a fraction's nearest of 18 fractional digits."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int):
        return Decimal(value)
    finite = _finite(value)
    if finite is not None:
        return finite
    return Decimal(_nearest(value)).scaleb(-DIGITS, WIDE)


def _nearest(value: Fraction) -> int:
    """The nearest number of units of the last digit, of two the even one."""
    whole, rest = divmod(value.numerator * _SCALE, value.denominator)
    twice = rest * 2 - value.denominator
    nearest: int = whole + (twice > 0 or (twice == 0 and whole & 1))
    return nearest


def _finite(value: Fraction) -> Decimal | None:
    """The decimal equal to a fraction; None where none is: another prime than 2 and 5 divides its denominator."""
    rest = value.denominator
    if rest % 3 == 0:  # as of most lengths of time
        return None
    twos = (rest & -rest).bit_length() - 1
    rest >>= twos
    fives = 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    if rest != 1:
        return None
    digits = max(twos, fives)
    return Decimal(value.numerator * 2 ** (digits - twos) * 5 ** (digits - fives)).scaleb(-digits, WIDE)
