"""How much the HTTP API takes on at once, and for how long."""

from dataclasses import dataclass

from tally.api.door import BODY_S, HEADERS_S, MOST_CONNECTIONS


@dataclass(frozen=True)
class Limits:
    """How much at once; times are in seconds."""

    asking: int = 256
    """Checks, reserves, releases and usage being answered."""
    sending: int = 256
    """Requests of events being answered."""
    body: int = 64 << 10
    events_body: int = 4 << 20
    events_held: int = 64 << 20
    """Bytes of all events between their reading and Kafka's answer."""
    connections: int = MOST_CONNECTIONS
    headers_s: float = HEADERS_S
    body_s: float = BODY_S
    answer_s: float = 20.0
    """For one request, once its body is there; what it calls has shorter times of its own."""
    stop_s: float = 25.0
    """How long requests that are being answered have when the API stops."""
