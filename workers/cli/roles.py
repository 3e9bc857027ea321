"""The roles, each one process: what `up`, `demo` and docker-compose start, and what may be started by hand."""

import signal
import sys
import threading

import click

from indexer.model import Lane
from indexer.store import migrate as schema
from workers import logs, wiring

FLOWER_PORT = 5555
FLOWER_TASKS = 10_000


@click.command()
def migrate() -> None:
    """Bring the database to this version and load the known facts. Safe to run at any time, by anybody."""
    logs.start()
    schema.upgrade(wiring.database_url())
    wiring.load_facts()


@click.command()
@click.argument("chain")
def follow(chain: str) -> None:
    """Follow the head of CHAIN until it is told to stop."""
    from workers import app  # noqa: PLC0415 - kicks need Celery
    from workers.follower import Follower  # noqa: PLC0415
    from workers.kicks import kick  # noqa: PLC0415

    logs.start()
    app.configure()
    of = wiring.chain(chain)
    schema.check(wiring.db())
    stop = _stopped_by_signals()
    waker = wiring.waker(chain)
    follower = Follower(
        db=wiring.db(),
        chain=of,
        endpoints=wiring.endpoints(chain, "live"),
        waker=waker,
        kick=kick,
        stop=stop,
        halt_after_s=wiring.settings().halt_after_s,
    )

    def end_the_wait() -> None:
        stop.wait()
        waker.wake()

    threading.Thread(target=end_the_wait, daemon=True).start()
    try:
        follower.run()
    finally:
        waker.close()


@click.command()
@click.option("--lane", type=click.Choice(["live", "history", "all"]), default="all", help="Which queues to serve.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes.")
@click.option("--name", default=None, help="Its name in Flower; the machine's name is added.")
def worker(lane: str, concurrency: int, name: str | None) -> None:
    """Serve the queues of a lane. `all` serves both, in one worker."""
    from workers import app  # noqa: PLC0415

    lanes = {"live": [Lane.LIVE], "history": [Lane.HISTORY], "all": list(Lane)}[lane]
    queues = [queue for each in lanes for queue in app.queues(each)]
    argv = ["worker", "--pool", "prefork", "--concurrency", str(concurrency), "--queues", ",".join(queues)]
    argv += ["--hostname", f"{name or lane}@%h", "--loglevel", "INFO", "--without-gossip", "--without-mingle", "-E"]
    schema.check(wiring.db())
    wiring.db().dispose()  # no connection is carried into the children
    app.configure().worker_main(argv)


@click.command()
def beat() -> None:
    """Send the periodic wake-ups. Two of them do no harm."""
    from workers import app  # noqa: PLC0415

    app.configure().start(["beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=", "--loglevel", "WARNING"])


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=FLOWER_PORT, show_default=True)
def flower(port: int) -> None:
    """Watch the workers at http://127.0.0.1:PORT, which only this machine can open; nothing can be changed there."""
    from workers import app  # noqa: PLC0415

    argv = ["flower", "--address=127.0.0.1", f"--port={port}", "--read-only", f"--max-tasks={FLOWER_TASKS}"]
    shown = "--tasks_columns=name,args,state,received,started,runtime,worker"
    app.configure().start([*argv, shown, "--purge_offline_workers=60", "--logging=warning"])


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, ask)
    return stop
