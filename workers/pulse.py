"""Beat's sign of life: a key at the broker that each wake-up that was sent renews, and that fades without them."""

from contextlib import suppress

from celery.signals import after_task_publish
from redis.exceptions import RedisError

from indexer.wire.budget import connect
from workers import wiring
from workers.app import TICK_S

KEY = "gazetteer:beat"
FADES_S = 6 * int(TICK_S)


def keep() -> None:
    """From now on each message that this process publishes renews the sign."""
    client = connect(wiring.broker_url())

    def renew(**_: object) -> None:
        with suppress(RedisError, OSError):  # then it fades, as it should
            client.set(KEY, 1, ex=FADES_S)

    after_task_publish.connect(renew, weak=False)


def is_felt() -> bool:
    """Whether some beat sent a wake-up lately. Raises RedisError, OSError where the broker does not answer."""
    with connect(wiring.broker_url()) as client:
        return bool(client.exists(KEY))
