"""`gazetteer demo`: the whole thing on simulated chains; with a time limit, compared with the truth at the end."""

import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from indexer.errors import DatabaseUnavailable, NodeUnavailable
from workers.local import data, venues
from workers.local.data import DEMO, Register
from workers.local.process import free_port
from workers.local.session import NEVER_S, Session, every, never, say
from workers.local.stack import WORLD, Stack, flower_port, inherited, role
from workers.local.supervisor import Role
from workers.local.world import CALENDAR, SETTINGS, Controls, kept

SEED = "1"
TURN_S = 5.0
END_S = 60.0
DRAIN_S = 30.0
"""How long nothing may get less before we wait no more."""
MOST_DRAIN_S = 900.0
LOOK_S = 1.0
SHOWN = 20
"""Differences."""

if TYPE_CHECKING:  # importing it takes as long as a server to start, and it is needed last
    from workers.local.verdict import Spread, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for. `seed` None: the world that is there, else the first one. `for_s` None: until Ctrl-C."""

    seed: str | None
    for_s: float | None
    data_dir: Path | None
    workers: int
    flower_port: int


def run(wish: Wish) -> bool:
    """Run it. False: the register differs from the truth, or a comparison was asked for and did not come to be."""
    register = Register(data.base(wish.data_dir) / DEMO)
    register.make()
    with register.held("supervisor", TURN_S):
        seed = settle_world(register, wish.seed)
        port, world_port = flower_port(wish.flower_port)[0], free_port(_noted(register))
        (register.root / "port").write_text(str(world_port))
        venue_port = free_port(0)
        stack = Stack(
            command="demo",
            register=register,
            chains=(),  # the world tells them
            workers=wish.workers,
            flower_port=port,
            inherited=inherited(ours=False) | venues.credentials(),
            own={"CONFIG": str(register.root / SETTINGS), **venues.own(venue_port)},
            venues=True,
        )
        _announce(wish, stack, seed)
        session = Session(stack=stack, title=f"gazetteer demo   simulated chains, seed {seed}")
        with session.everything():
            stack.supervisor.keep(_market(seed, venue_port))
            found = _session(session, wish, seed, world_port)
    if found is not None:
        say("\n".join(summary(found)))
    say("\n".join(next_steps(wish.data_dir)))
    return wish.for_s is None if found is None else found.equal


def _market(seed: str, port: int) -> Role:
    return role("simulate-venues", "simulate_venues", "--seed", seed, "--port", str(port), stage=WORLD)


def settle_world(register: Register, wanted: str | None) -> str:
    """The seed of the world to show. One that has ended, or has another seed, is cleared away with its register."""
    there = kept(register.root)
    if there is None and not register.postgres.exists():
        return wanted or SEED
    seed, ended = there or (SEED, True)  # a register without its world can never be completed
    if not ended and wanted in (None, seed):
        return seed
    say(f"the world of seed {seed} {'has ended' if ended else 'is left'}; a new one begins in {register.root}")
    for path in (register.postgres, register.valkey):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("run.json", "reader", SETTINGS, CALENDAR):
        (register.root / name).unlink(missing_ok=True)
    return wanted or seed


def _noted(register: Register) -> int:
    try:
        return int((register.root / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _announce(wish: Wish, stack: Stack, seed: str) -> None:
    taken = "" if stack.flower_port == wish.flower_port else f" (port {wish.flower_port} is taken)"
    say(f"gazetteer demo: simulated chains, exchanges and brokers from seed {seed}, offline")
    say(f"data in {stack.register.root}, logs in {stack.register.logs}")
    say(f"Flower at {stack.flower_url}{taken}; Ctrl-C stops everything")
    say("starting, which takes some seconds")


def _session(session: Session, wish: Wish, seed: str, port: int) -> "Verdict | None":
    stack, controls = session.stack, Controls(port)
    words = ("--seed", seed, "--root", str(stack.register.root), "--port", str(port))
    stack.supervisor.keep(role("simulate", "simulate", *words, stage=WORLD))
    stack.start_servers()

    def given_up() -> bool:
        stack.supervisor.look()
        return session.stopped

    stack.chains = controls.await_start(given_up)
    if session.stopped:
        return None
    stack.migrate()
    if session.stopped:
        return None
    stack.start_roles()
    if wish.for_s is None:
        session.show((NEVER_S, never, None))
        return None
    return _judged(session, controls, wish.for_s)


@dataclass(kw_only=True)
class _Ending:
    """The world ends, the register drains. `truths` are empty until the world has ended; `left` was left last."""

    url: str
    controls: Controls
    truths: list[dict[str, Any]] = field(default_factory=list)
    ended_at_s: float = 0.0
    left: tuple[int, ...] = ()
    moved_at_s: float = 0.0

    def end_world(self) -> bool:
        """End it, and learn what a register must hold. Raises NodeUnavailable while it does not answer."""
        self.controls.stop()
        self.truths = self.controls.truth()
        self.ended_at_s = time.monotonic()
        return True

    def drained(self) -> bool:
        """Whether nothing is left to do, or what is left gets no less. Raises DatabaseUnavailable."""
        from workers.local import verdict  # noqa: PLC0415 - it imports a lot, and is needed last

        try:
            left = verdict.left(self.url, self.truths)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(str(error)) from error
        now_s = time.monotonic()
        if left != self.left:
            self.left, self.moved_at_s = left, now_s
        return not any(left) or now_s - self.moved_at_s > DRAIN_S


def _judged(session: Session, controls: Controls, for_s: float) -> "Verdict | None":
    from workers.local import verdict  # noqa: PLC0415

    ending = _Ending(url=session.stack.url, controls=controls)
    session.show(
        (for_s, never, None),
        (END_S, every(LOOK_S, ending.end_world), "the world ends"),
        (MOST_DRAIN_S, every(LOOK_S, ending.drained), "the world has ended, draining"),
    )
    if session.stopped:
        return None
    if not ending.truths:
        raise NodeUnavailable(f"the simulated world did not end within {END_S:g} s")
    after_s = time.monotonic() - ending.ended_at_s
    if ending.left and not any(ending.left):
        say(f"drained {after_s:.0f} s after the world ended")
    else:
        say(f"not drained {after_s:.0f} s after the world ended")
    return verdict.judge(ending.url, ending.truths, session.followed_since_s)


def summary(found: "Verdict") -> list[str]:
    """What came out, line by line."""
    lines = [f"  {view:<16} {count:>9,} rows" for view, count in sorted(found.rows.items())]
    lines += [
        "",
        f"head to row    {_told(found.head_to_row)}",
        f"resolved       {_told(found.resolved)}",
        "",
    ]
    lines += [f"  {each}" for each in found.differences[:SHOWN]]
    lines += ["what venues list was not compared"]
    if found.equal:
        return [*lines, "the register equals the truth: every row of every view"]
    more = len(found.differences) - SHOWN
    rest = [f"  and {more:,} more"] if more > 0 else []
    return [*lines, *rest, f"the register DIFFERS from the truth in {len(found.differences):,} places"]


def _told(taken: "Spread") -> str:
    if taken.p50_s is None or taken.p99_s is None or taken.most_s is None:
        return "nothing was measured"
    return f"p50 {taken.p50_s:.3f} s   p99 {taken.p99_s:.3f} s   most {taken.most_s:.3f} s   ({taken.measured:,} pools)"


def next_steps(data_dir: Path | None) -> list[str]:
    """Three commands that work now that everything has stopped."""
    where = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir.absolute()))}"
    program = _program()
    query = "select chain, pair, dex, created_at from api.new_pools limit 10"
    return [
        "",
        "try next:",
        f'  {program} sql{where} "{query}"',
        f"  {program} status{where}",
        f"  {program} tail{where}",
    ]


def _program() -> str:
    """The command as this user can type it."""
    found = shutil.which("gazetteer")
    beside = Path(sys.executable).with_name("gazetteer")
    if found is not None and Path(found).resolve() == beside.resolve():
        return "gazetteer"
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -P -m workers"
