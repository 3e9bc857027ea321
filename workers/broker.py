"""A patch of kombu's Redis transport, without which a busy worker dies when its broker goes away.

In kombu 5.7.0 a late acknowledgement, and the restoring of unacknowledged messages when a connection closes, reach
for a channel that is already gone (AttributeError: 'NoneType' object has no attribute 'client' or 'hostname'), and
Celery 5.7.0 ends the whole worker for it. Dropping them is safe here: a message is only a wake-up, and what was not
acknowledged is delivered again after the visibility timeout. A test restarts the broker under a busy worker.
"""

import logging
from typing import Any

import kombu.transport.redis as transport

log = logging.getLogger("gazetteer.broker")


class PatientQoS(transport.QoS):
    """Acknowledgements that outlive their connection are dropped."""

    def _gone(self) -> bool:
        connection = getattr(self.channel, "connection", None)
        return connection is None or getattr(connection, "client", None) is None

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge, unless there is nobody left to tell."""
        if self._gone():
            log.warning("late ack dropped")
            return
        super().ack(delivery_tag)  # type: ignore[no-untyped-call]  # kombu has no types

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject, unless there is nobody left to tell."""
        if self._gone():
            log.warning("late reject dropped")
            return
        super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]  # kombu has no types

    def restore_unacked_once(self, stderr: Any = None) -> None:  # noqa: ANN401 - kombu's own parameter
        """Restore what was reserved; where the broker is gone it comes back by the visibility timeout."""
        try:
            super().restore_unacked_once(stderr=stderr)  # type: ignore[no-untyped-call]  # kombu has no types
        except Exception as error:  # noqa: BLE001 - of redis, of the socket, or of kombu's own state
            log.warning("unacked messages wait for the visibility timeout", extra={"error": type(error).__name__})


def install() -> None:
    """Use it in this process, before any connection is opened."""
    transport.Channel.QoS = PatientQoS
