"""`gazetteer healthy ROLE`: questions that only a role that does its work can answer, for container engines."""

import sys
from typing import NoReturn

import click
import urllib3

from indexer import store
from indexer.errors import Refused
from indexer.store import migrate as schema
from indexer.store import status
from workers import wiring
from workers.lanes import ALL, LANES

SEEN_S = 30.0
ANSWER_S = 3.0
FLOWER_PORT = 5555
HTTP_OK = 200


@click.group()
def healthy() -> None:
    """Whether a role does its work: exit code 0 if so, else 1 and a sentence."""


@healthy.command()
def migrate() -> None:
    """The database is of this version."""
    _migrated()


@healthy.command()
@click.argument("chain")
def follow(chain: str) -> None:
    """The follower of CHAIN has told of its turn within the last half minute, whatever its endpoints answer."""
    of = wiring.chain(chain)
    _migrated()
    with store.begin(wiring.db()) as tx:
        seen_s = status.seen_age_s(tx, of.id)
    if seen_s is None or seen_s > SEEN_S:
        _ill(f"{chain}: " + ("nobody has followed it yet" if seen_s is None else f"last followed {seen_s:.0f} s ago"))


@healthy.command()
@click.option("--lane", type=click.Choice(LANES), default=ALL, help="Which queues to serve.")
def worker(lane: str) -> None:
    """Workers of this machine answer through the broker and serve every queue of the lane."""
    from celery.utils.nodenames import gethostname  # noqa: PLC0415 - Celery takes a while to import
    from kombu.exceptions import OperationalError  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    from workers import app  # noqa: PLC0415

    inspect = app.configure().control.inspect(timeout=ANSWER_S, pattern=f"*@{gethostname()}", matcher="glob")
    try:
        told = inspect.active_queues() or {}
    except (OperationalError, RedisError, OSError) as error:
        _ill(f"the broker does not answer: {type(error).__name__}")
    served = {str(queue["name"]) for queues in told.values() for queue in queues}
    idle = sorted(app.queues_of(lane) - served)
    if idle:
        _ill(f"nobody here serves {', '.join(idle)}")


@healthy.command()
def beat() -> None:
    """Some beat has sent a wake-up within the last half minute."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    from workers import pulse  # noqa: PLC0415

    try:
        felt = pulse.is_felt()
    except (RedisError, OSError) as error:
        _ill(f"the broker does not answer: {type(error).__name__}")
    if not felt:
        _ill("no wake-up was sent lately")


@healthy.command()
@click.option("--port", type=click.IntRange(1, 65535), default=FLOWER_PORT, show_default=True)
def flower(port: int) -> None:
    """Flower answers on this machine."""
    try:
        answer = urllib3.request("GET", f"http://127.0.0.1:{port}/healthcheck", timeout=ANSWER_S, retries=False)
    except urllib3.exceptions.HTTPError as error:
        _ill(f"Flower does not answer: {type(error).__name__}")
    if answer.status != HTTP_OK:
        _ill(f"Flower answers with status {answer.status}")


def _migrated() -> None:
    try:
        schema.check(wiring.db())
    except Refused as error:  # not exit code 2, which container engines keep for themselves
        _ill(str(error))


def _ill(why: str) -> NoReturn:
    click.echo(f"gazetteer: {why}", err=True)
    sys.exit(1)
