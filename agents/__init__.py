"""The pipeline on one screen."""

from collections.abc import AsyncIterator
from typing import Any

from agents.usage import count
from stream.engine.app import App
from stream.engine.schema import BlockSchema


def attach(app: App) -> None:
    """Attach the agents to the app.

    usage-events --[usage: fold, commit]--> <app>-state-changelog
                                       |--> usage-rejected, usage-alerts, usage-events (re-routed), in the same commit
                                       '--> Redis, once the commit has returned
    """
    for topic in sorted(app.source_topics):

        @app.agent(app.topic(topic, schema=BlockSchema(), maxsize=16), name="usage")
        async def usage(stream: Any) -> AsyncIterator[None]:
            await count(app, stream)
            yield
