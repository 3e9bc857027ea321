"""The roles, each one process: what `up`, `demo` and docker-compose start, and what may be started by hand."""

import os
import signal
import sys
import threading
from ipaddress import ip_address
from pathlib import Path

import click

from indexer.errors import Refused
from indexer.store import migrate as schema
from workers import logs, wiring
from workers.lanes import ALL, CHAINS, LANES, VENUES
from workers.local.supervisor import Role, Supervisor

LOOPBACK = "127.0.0.1"
FINISH_S = 5.0
"""How much longer than its tasks a worker may take to end."""
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
@click.option("--lane", type=click.Choice(LANES), default=ALL, help="Which queues to serve.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes a lane.")
@click.option("--name", default=None, help="Its name in Flower; the machine's name is added.")
def worker(lane: str, concurrency: int, name: str | None) -> None:
    """Serve the queues of a lane. `all` runs a worker for live, history and venues each, so that none takes another's.

    `venues` serves exchanges and brokers; `cex` and `broker` serve them apart, on machines of their own if need be.
    """
    schema.check(wiring.db())
    wiring.db().dispose()  # no connection is carried into the children
    if lane == ALL:
        _all(concurrency, name)
        return
    from workers import app  # noqa: PLC0415

    argv = [
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        str(concurrency),
        "--queues",
        ",".join(sorted(app.queues_of(lane))),
    ]
    # two of one name on one machine would answer for each other
    argv += ["--hostname", f"{name or f'{lane}-{os.getpid()}'}@%h", "--loglevel", "INFO"]
    if lane not in CHAINS:
        argv += ["--max-memory-per-child", str(app.MOST_MEMORY_A_VENUE_CHILD_KB)]
    app.configure().worker_main([*argv, "--without-gossip", "--without-mingle", "-E"])


def _all(concurrency: int, name: str | None) -> None:
    """Workers for all lanes below this process, until it is told to stop; then they finish what they are at."""
    wiring.broker_url()
    supervisor = Supervisor(logs=None, cwd=Path.cwd(), environment=lambda: os.environ)
    supervisor.heed_signals()
    for lane in (*CHAINS, VENUES) if wiring.venues() else CHAINS:
        words = ["worker", "--lane", lane, "--concurrency", str(concurrency)]
        words += ["--name", f"{name}-{lane}"] if name else []
        argv = (sys.executable, "-P", "-m", "workers", *words)
        patience_s = _longest_s(lane) + FINISH_S
        supervisor.keep(Role(name=f"worker-{lane}", argv=argv, stage=0, patience_s=patience_s))
    try:
        supervisor.watch(until=lambda: False, turn=lambda: None)
    finally:
        supervisor.end()


def _longest_s(lane: str) -> float:
    """How long a task of a lane may take."""
    from workers import app  # noqa: PLC0415

    if lane in CHAINS:
        return wiring.settings().task_s
    return max(app.hard_limit_s(row) for row in wiring.venues())


@click.command()
def beat() -> None:
    """Send the periodic wake-ups. Two of them do no harm."""
    from workers import app, pulse  # noqa: PLC0415

    pulse.keep()
    app.configure().start(["beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=", "--loglevel", "WARNING"])


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=FLOWER_PORT, show_default=True)
@click.option("--address", default=LOOPBACK, show_default=True, help="Beyond this machine only with flower_auth.")
def flower(port: int, address: str) -> None:
    """Watch the workers at http://ADDRESS:PORT; nothing can be changed there."""
    from workers import app  # noqa: PLC0415

    login = wiring.settings().flower_auth
    if login is None and not _is_loopback(address):
        raise Refused(
            f"Flower at {address} would be open to everybody: set GAZETTEER_FLOWER_AUTH to user:password, "
            f"or leave it at {LOOPBACK}"
        )
    if login is not None:
        os.environ["FLOWER_BASIC_AUTH"] = login  # not in the arguments, which every account can list
    argv = ["flower", f"--address={address}", f"--port={port}", "--read-only", f"--max-tasks={FLOWER_TASKS}"]
    shown = "--tasks_columns=name,args,state,received,started,runtime,worker"
    app.configure().start([*argv, shown, "--purge_offline_workers=60", "--logging=warning"])


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, ask)
    return stop
