"""One thing that was looked at, and what came of it."""

from typing import Any, Literal

import msgspec

State = Literal["ok", "wrong", "unknown", "note"]


class Check(msgspec.Struct, frozen=True):
    """`about` names what was looked at (`topic usage-events`), `detail` says what was found, `mend` what to type.

    States: `ok`; `wrong` (totals could become wrong, be lost or stop: mend it); `unknown` (the server does not tell);
    `note` (right as it is, but good to know).
    """

    state: State
    about: str
    detail: str
    mend: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The check as `--json` prints it."""
        return {"state": self.state, "about": self.about, "detail": self.detail, "mend": self.mend}


def ok(about: str, detail: str) -> Check:
    """All is well."""
    return Check("ok", about, detail)


def wrong(about: str, detail: str, mend: str | None = None) -> Check:
    """This has to be mended; the exit code becomes 1."""
    return Check("wrong", about, detail, mend)


def unknown(about: str, detail: str) -> Check:
    """The server does not tell."""
    return Check("unknown", about, detail)


def note(about: str, detail: str, mend: str | None = None) -> Check:
    """Nothing is wrong, but somebody may want to know."""
    return Check("note", about, detail, mend)
