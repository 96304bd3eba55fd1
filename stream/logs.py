"""Structured logs: a sentence for a person, then fields for a machine.

Every line about a record carries `topic`, `partition` and `offset`, so that it can be found again in Kafka.

    log = logs.named("stream.engine.commit").bind(topic="usage-events", partition=3)
    log.warning("The commit failed; the partition is taken over afresh", offset=4711, error=error)

On a terminal a line reads `09:00:00.123 WARNING stream.engine.commit The commit failed ... topic=usage-events
partition=3 offset=4711`; elsewhere it is one JSON object with the same names.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

FIELDS = "tally_fields"  # the attribute of a LogRecord that holds the fields
QUIET = (
    "aiokafka",
    "faust",
    "mode",
    "kafka",
    "asyncio",
    "aiohttp.access",
)  # chatty at INFO about what we log ourselves


class Log:
    """A logger with fields bound to it. Cheap to make and to bind; safe to share between threads."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, logger: logging.Logger, fields: Mapping[str, object] | None = None) -> None:
        self._logger = logger
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> "Log":
        """The same logger with further fields, which every line of it carries."""
        return Log(self._logger, {**self._fields, **fields})

    def debug(self, sentence: str, **fields: object) -> None:
        """What only somebody hunting a fault wants to read."""
        self._write(logging.DEBUG, sentence, fields)

    def info(self, sentence: str, **fields: object) -> None:
        """What an operator wants to know of a healthy worker."""
        self._write(logging.INFO, sentence, fields)

    def warning(self, sentence: str, **fields: object) -> None:
        """What went wrong and mended itself, or will unless somebody looks."""
        self._write(logging.WARNING, sentence, fields)

    def error(self, sentence: str, **fields: object) -> None:
        """What went wrong and stays so."""
        self._write(logging.ERROR, sentence, fields)

    def exception(self, sentence: str, **fields: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._write(logging.ERROR, sentence, fields, trace=True)

    def _write(self, level: int, sentence: str, fields: Mapping[str, object], *, trace: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            # the sentence is an argument of "%s", so that a per cent sign from an event cannot break the formatting
            extra = {FIELDS: {**self._fields, **fields}}
            self._logger.log(level, "%s", sentence, exc_info=trace, extra=extra, stacklevel=3)


def named(name: str, **fields: object) -> Log:
    """The log of a module: `named("stream.engine.commit")`."""
    return Log(logging.getLogger(name), fields)


def _plain(value: object) -> object:
    """A value that JSON has, or its text; bytes as text with what is not UTF-8 escaped."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
    return str(value)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, FIELDS, {})
    return {name: _plain(value) for name, value in fields.items()}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = _fields(record)
        line = {"time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage(), **line}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Lines(logging.Formatter):
    """A line for a person: time, level, logger, sentence, `name=value` fields; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        parts = [time, record.levelname, record.name, record.getMessage()]
        for name, value in _fields(record).items():
            text = value if isinstance(value, str) else json.dumps(value)
            bare = text and text.isprintable() and not any(mark in text for mark in ' "=')
            parts.append(f"{name}={text if bare else json.dumps(text, ensure_ascii=False)}")
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Once:
    """Passes a foreign library's line once in `seconds`, and says at the next how many were held back.

    While a broker is away, aiokafka says so for each of its connections many times a second.
    """

    def __init__(self, seconds: float = 10.0, most: int = 200) -> None:
        self._seconds, self._most = seconds, most
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written: the same sentence of the same logger was not lately."""
        key = (record.name, str(record.msg))
        at, held = self._said.get(key, (-self._seconds, 0))
        if record.created - at < self._seconds:
            self._said[key] = (at, held + 1)
            return False
        if len(self._said) >= self._most:
            self._said.clear()
        self._said[key] = (record.created, 0)
        if held:
            record.msg = f"{record.getMessage()} (and {held} more like it)"
            record.args = ()
        return True


def setup(level: str = "info", *, as_json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr), replacing the handlers that stand; JSON unless a terminal reads them.

    `level` (debug, info, warning, error) holds for our rooms; the libraries beneath say only warnings, or everything
    at debug.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines() if (not out.isatty() if as_json is None else as_json) else Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(number if number == logging.DEBUG else logging.WARNING)
    once = Once()
    handler.addFilter(lambda record: not record.name.startswith(QUIET) or number == logging.DEBUG or once(record))
