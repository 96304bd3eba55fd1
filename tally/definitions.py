"""Definitions for the commands: with the metric types that plug-ins bring, and faults as an operator reads them."""

from pathlib import Path

import click

from schemas.definitions import Definitions
from schemas.faults import Faults
from schemas.load import load_file


def load(path: Path) -> Definitions:
    """The definitions of a file; raises Faults, and ClickException where it cannot be read."""
    try:
        return load_file(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror or error}") from error


def require(path: Path) -> Definitions:
    """The definitions of a file for a command that needs right ones: a fault ends it with exit code 1."""
    try:
        return load(path)
    except Faults as found:
        raise click.ClickException("\n".join([f"{path} has faults:", *found.lines()])) from None
