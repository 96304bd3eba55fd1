"""The settings, for commands: read once where they are needed, wrong ones told as wrong use."""

import click

from stream.settings import Settings, SettingsFault, from_environment


def settings() -> Settings:
    """The settings of this process's environment; a wrong one ends the command with exit code 2."""
    try:
        return from_environment()
    except SettingsFault as faults:
        raise click.UsageError("The environment has faults:\n" + str(faults)) from None
