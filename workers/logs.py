"""Logs are events with keys: one line of JSON each, without URLs and keys, whatever a library says."""

import logging
import sys
from datetime import UTC, datetime

import orjson

from indexer.wire.redact import redacted

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "data", "taskName"}
_QUIET = (
    "alembic",
    "amqp",
    "asyncio",
    "celery.app.trace",  # every task that went well
    "celery.beat",
    "celery.worker.strategy",  # every task that came
    "kombu",
    "urllib3",
    "web3",
    "websockets",
)


class _Line(logging.Formatter):
    """A record as one line of JSON: when, how bad, who, what, and the keys of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "who": record.name,
            "what": redacted(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = redacted(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = [redacted(part) for part in self.formatException(record.exc_info).splitlines()]
        return orjson.dumps(line, default=str).decode()


def start(level: int = logging.INFO) -> None:
    """Log to standard error in this process. May be called twice."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
