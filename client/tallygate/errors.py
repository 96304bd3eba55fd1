"""What a gate raises. An answer, also a refusal, is no error."""


class GateError(Exception):
    """Anything that a gate raises of its own."""


class GateUnavailable(GateError):  # noqa: N818 - the contract's name
    """Redis could not be reached, or could not answer: nothing is known, so decide by what is at stake.

    A `reserve` that raised it may have taken its hold: repeat it with the same id, or let it lapse.
    """


class UnknownLayout(GateUnavailable):
    """Redis holds totals in a layout that this version of tallygate does not read: install the one that does."""


class OtherLines(GateError):  # noqa: N818 - likewise
    """A hold of this id is there already, with other lines."""


class WrongGroup(GateError, ValueError):  # noqa: N818 - likewise
    """A line's group does not name exactly the properties by which its metric is grouped."""
