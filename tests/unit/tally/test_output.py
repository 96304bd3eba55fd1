"""What is printed for whom."""

import io
from pathlib import Path

import pytest

from tally.output import Progress, plural, print_table, size_of


class Terminal(io.StringIO):
    """A standard error that somebody watches."""

    def isatty(self) -> bool:
        """Somebody does."""
        return True


def test_a_bar_is_drawn_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs and pipes get none, and work of unknown length neither."""
    for stream, length, drawn in ((Terminal(), 10, True), (io.StringIO(), 10, False), (Terminal(), 0, False)):
        monkeypatch.setattr("sys.stderr", stream)
        with Progress("Sending", length) as progress:
            progress.step(10)
        assert ("Sending" in stream.getvalue()) is drawn


def test_a_table_lines_up_and_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers flush right; control characters of what a producer sent are shown, not obeyed."""
    print_table(("NAME", "VALUE"), [("a", 1), ("b\x1b[2J", 1000), (None, "x")], right=("VALUE",))
    assert capsys.readouterr().out == (
        "NAME      VALUE\n"
        "a             1\n"
        "b\\x1b[2J   1000\n"
        "              x\n"
    )  # fmt: skip


def test_sizes_are_known_of_files_only(tmp_path: Path) -> None:
    """What has no end on disk has size 0."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    with path.open("rb") as file:
        assert size_of(file) == 5
    assert size_of(io.BytesIO(b"12345")) == 0
    with Path("/dev/null").open("rb") as device:
        assert size_of(device) == 0


def test_nouns_agree_with_their_number() -> None:
    """One event, many events."""
    assert [plural(n, "event") for n in (0, 1, 1200)] == ["0 events", "1 event", "1,200 events"]
