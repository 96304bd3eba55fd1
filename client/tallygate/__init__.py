"""Gate requests on Tallystream's running totals: one round trip to Redis, one atomic step.

from tallygate import Gate

gate = Gate.from_url("redis://127.0.0.1:6379/0")
answer = gate.check("acme", "api_requests")
if not answer.allowed:
    ...  # answer.reason, answer.limit, answer.resets_at
"""

from tallygate.aio import AsyncGate
from tallygate.answers import Check, Release, Reservation
from tallygate.errors import GateError, GateUnavailable, OtherLines, UnknownLayout, WrongGroup
from tallygate.gate import Gate
from tallygate.requests import Line

__all__ = [
    "AsyncGate",
    "Check",
    "Gate",
    "GateError",
    "GateUnavailable",
    "Line",
    "OtherLines",
    "Release",
    "Reservation",
    "UnknownLayout",
    "WrongGroup",
]
