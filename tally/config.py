"""The settings, for commands: read once where they are needed, wrong ones told as wrong use."""

from typing import TYPE_CHECKING

import click

from stream.settings import Settings, SettingsFault, from_environment, slips

if TYPE_CHECKING:
    from stream.core.plan import Rules


def settings() -> Settings:
    """The settings of this process's environment; a wrong one ends the command with exit code 2."""
    for name, sentence in slips():
        click.echo(f"warning: {name} {sentence}", err=True)
    try:
        return from_environment()
    except SettingsFault as faults:
        raise click.UsageError("The environment has faults:\n" + str(faults)) from None


def rules(config: Settings) -> "Rules":
    """What of the settings decides which events count."""
    from stream.core.plan import Rules  # numpy comes with it: for those commands only that fold

    return Rules(
        app=config.app,
        topic=config.events_topic,
        max_age_us=config.max_age_us,
        max_ahead_us=config.max_ahead_us,
        keep_us=config.keep_us,
        sliding_late_us=config.sliding_late_us,
    )
