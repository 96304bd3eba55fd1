"""What the HTTP API answers: JSON, and where something is wrong a sentence that says what to write instead."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from schemas.totals import encode

RETRY_S = "1"
"""What a 429 or 503 recommends: room is free within milliseconds, a rebalance takes about a second."""


class Problem(Exception):  # noqa: N818 - an answer, which the request may well have wanted
    """That a request is not answered with 200.

    `path` names what is wrong in the request's body (`lines[0].cost`), or its parameter or header; None where it is
    not about one of these. `closes` ends the connection, where the rest of a body is not read.
    """

    def __init__(self, status: int, sentence: str, path: str | None = None, *, closes: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.path, self.closes = status, sentence, path, closes

    def answer(self) -> web.Response:
        """The response."""
        headers = {}
        if self.status in {429, 503}:
            headers["Retry-After"] = RETRY_S
        elif self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="tallystream"'
        response = answer({"error": self.sentence, "path": self.path}, self.status, headers)
        if self.closes:
            response.force_close()
        return response


class Wrong(Problem):
    """A request that is wrong, 400: what of it, and what to write."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(400, f"{path}: {sentence}" if path else sentence, path or None)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Make a response of JSON."""
    body = encode(value) + b"\n"
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def no_parameters(request: web.Request) -> None:
    """Raise Wrong where the URL has parameters and none are read."""
    for name in request.query:
        raise Wrong(name[:80], "is no parameter here: write it into the body")


def of_aiohttp(problem: web.HTTPException) -> web.Response:
    """Answer what aiohttp itself refuses: no such path, another method."""
    if problem.status == 404:
        return Problem(404, "there is nothing here: /openapi.json lists what is").answer()
    if isinstance(problem, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(problem.allowed_methods))
        response = Problem(405, f"{problem.method} is not answered here: send {allowed}", closes=True).answer()
        response.headers["Allow"] = allowed
        return response
    return Problem(problem.status, problem.reason or "the request is wrong", closes=True).answer()
