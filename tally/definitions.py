"""Definitions for the commands: with the metric types that plug-ins bring, and faults as an operator reads them."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import click

from schemas.definitions import BUILT_IN, Definitions
from schemas.faults import Faults
from schemas.load import PlugIn, load_file


class PlugIns(Mapping[str, PlugIn]):
    """The metric types that other distributions bring, by name; one is imported only when a file names it."""

    def __init__(self) -> None:
        self._names = entry_points(group="tallystream.metrics").names - set(BUILT_IN)

    def __getitem__(self, name: str) -> PlugIn:
        if name not in self._names:
            raise KeyError(name)
        from stream.core.metrics.registry import metric_type  # the fold and numpy come with it

        try:
            return metric_type(name)
        except Exception as error:  # whatever another distribution's code raises when it is imported or made
            raise click.ClickException(
                f"The metric type {name!r} cannot be used: {str(error) or type(error).__name__}"
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def load(path: Path) -> Definitions:
    """The definitions of a file; raises Faults, and ClickException where it cannot be read."""
    try:
        return load_file(path, PlugIns())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror or error}") from error


def require(path: Path) -> Definitions:
    """The definitions of a file for a command that needs right ones: a fault ends it with exit code 1."""
    try:
        return load(path)
    except Faults as found:
        raise click.ClickException("\n".join([f"{path} has faults:", *found.lines()])) from None
