"""`gazetteer backfill`: what the past costs, the decision to read it, and how far that is."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from indexer import store
from indexer.errors import Refused, Retryable
from indexer.flow import follow
from indexer.store import consent, migrate
from workers import plan as planning
from workers import wiring
from workers.cli.place import data_dir as with_data_dir
from workers.cli.place import wired
from workers.cli.shown import safe
from workers.plan import WIDTH, ChainPlan, Since
from workers.wording import folded

WORKER_S = 0.5
WORKER_TRIES = 10
"""A worker that is just starting is waited for: so often, so long each time."""
KICKS = 4
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""
NO_WORKER = "no worker answers; start one: gazetteer worker (or read in this process: --here)"


class _SinceType(click.ParamType[Since]):
    name = "DATE|BLOCK"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Since:
        word = str(value)
        if word.isdecimal():
            return int(word)
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            self.fail(f"{word!r} is no date and no block; write 2024-01-31, or a block's number", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line says."""

    names: tuple[str, ...]
    since: Since | None
    yes: bool
    here: bool
    tokens: bool
    simulated: bool


@click.command()
@click.option("--dry", is_flag=True, help="Only say what it costs; endpoints are asked a few ranges to see.")
@click.option("--since", type=_SinceType(), default=None, help="How far back, from now on; 0: all.")
@click.option("--chains", default=None, help="Only these, with commas.")
@click.option("--yes", is_flag=True, help="Endpoints with a key may be spent on history.")
@click.option("--here", is_flag=True, help="Read in this process, without Celery.")
@click.option("--tokens", is_flag=True, help="End only when the tokens that were found have answered too.")
@with_data_dir
def backfill(
    dry: bool, since: Since | None, chains: str | None, yes: bool, here: bool, tokens: bool, data_dir: Path | None
) -> None:
    """Read the past, newest first. May be stopped and begun again at any point."""
    names = _names(chains)
    if tokens and here:
        raise click.UsageError("tokens are asked by workers: leave --here or --tokens out")
    if isinstance(since, int) and since > 0 and len(names) > 1:
        raise click.UsageError("a block's number is of one chain: name it with --chains, or write a date")
    with wired(data_dir) as simulated:
        migrate.check(wiring.db())
        asked = _Asked(names=names, since=since, yes=yes, here=here, tokens=tokens, simulated=simulated)
        _dry(asked) if dry else _read(asked)


def _names(chains: str | None) -> tuple[str, ...]:
    if chains is None:
        return tuple(wiring.chain_names())
    return tuple(wiring.chain(word.strip()).name for word in chains.split(",") if word.strip())


def _dry(asked: _Asked) -> None:
    if not asked.simulated:
        click.echo("asking the endpoints what they serve ...", err=True)
    for line in planning.shown(planning.plan(asked.names, learn=True, since=asked.since, simulated=asked.simulated)):
        click.echo(line)


def _read(asked: _Asked) -> None:
    """Decide, wake who reads, and show how far it is."""
    if wiring.settings().history == "none" and not asked.simulated:
        raise Refused(
            f"history = none ({wiring.settings().where['history']}): set it to public or all to read the past"
        )
    if asked.simulated and (asked.here or asked.since is not None):
        raise Refused(
            "this is the demo's register, whose endpoints only the demo can ask: leave --here and --since out"
        )
    plans = planning.plan(asked.names, since=asked.since, simulated=asked.simulated)
    for each in plans:
        if each.why is not None:
            click.echo(f"{each.chain}: {safe(each.why)}", err=True)
    unread = () if asked.simulated else _decide(asked, plans)
    known = [each.chain for each in plans if each.missing is not None and each.chain not in unread]
    if not known:
        raise Refused("there is nothing that can be read now")
    from workers.cli import progress  # noqa: PLC0415 - rich, only where something is shown

    if asked.here:
        progress.here(known)
    elif _woken(known, asked.simulated):
        progress.watch(known, tokens=asked.tokens)


def _decide(asked: _Asked, plans: Sequence[ChainPlan]) -> frozenset[str]:
    """Keep what the operator decided, and give a chain that was never followed its anchor.

    Returns the chains that cannot be read for want of consent.
    """
    unread = set()
    for each in plans:
        if each.missing is None:
            continue
        of = wiring.chain(each.chain)
        consented = any(one.keyed and not one.allowed for one in each.endpoints) and _consents(asked, each)
        with store.begin(wiring.db()) as tx:
            consent.decide(tx, of.id, floor=each.floor, consent=consented)
        _anchored(each.chain)
        if each.waits_for_consent and not consented:
            click.echo(f"{each.chain}: its endpoints have keys, and nobody consented: --yes", err=True)
            unread.add(each.chain)
    return frozenset(unread)


def _consents(asked: _Asked, of: ChainPlan) -> bool:
    if asked.yes or not sys.stdin.isatty():
        return asked.yes
    keyed = [each.name for each in of.endpoints if each.keyed]
    # what is asked for is shown with its price, as if it were allowed
    for line in planning.shown([replace(of, endpoints=tuple(replace(each, allowed=True) for each in of.endpoints))]):
        click.echo(line)
    quota = f"the quota of {keyed[0]}" if len(keyed) == 1 else f"the quotas of these {len(keyed)} keyed endpoints"
    click.echo()
    *before, last = folded(f"May {quota} be spent on {of.chain}'s history?", WIDTH - len(" [y/N]: "))
    for line in before:
        click.echo(line)
    try:
        return click.confirm(last, default=False)
    except click.Abort:
        click.echo(f"\nnothing was decided for {of.chain}, and nothing is read", err=True)
        sys.exit(INTERRUPTED)


def _anchored(name: str) -> None:
    endpoints = wiring.endpoints(name, "live")
    node = endpoints.choose()
    if node is None:
        return
    try:
        follow.start(wiring.db(), node, wiring.chain(name), wiring.clock)
    except Retryable as error:
        endpoints.failed(node, error)


def _woken(names: Sequence[str], simulated: bool) -> bool:
    """Wake-ups for each chain; False, and said, where nobody would hear them."""
    if wiring.settings().broker_url is None:
        click.echo(f"no broker is configured, so no worker can be woken; {NO_WORKER}", err=True)
        return False
    from indexer.model import Lane  # noqa: PLC0415 - Celery takes a while to import, and --dry needs none of it
    from workers import app  # noqa: PLC0415
    from workers.kicks import kick  # noqa: PLC0415

    control = app.configure().control
    for name in names:
        for _ in range(KICKS):
            kick("scan", name, Lane.HISTORY)
    unheard = list(names)
    for _ in range(WORKER_TRIES):
        served = _served(control.inspect(timeout=WORKER_S).active_queues)
        unheard = [name for name in names if app.queue_of(name, Lane.HISTORY) not in served]
        if not unheard:
            break
    if unheard:
        hint = NO_WORKER if not simulated else "the demo is stopped; start it again: gazetteer demo"
        click.echo(f"{', '.join(unheard)}: {hint}", err=True)
    return len(unheard) < len(names)


def _served(ask: Callable[[], dict[str, list[dict[str, object]]] | None]) -> frozenset[str]:
    """The queues that workers serve now; none where the broker is away."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        told = ask() or {}
    except (OperationalError, RedisError, OSError):
        return frozenset()
    return frozenset(str(queue.get("name")) for queues in told.values() for queue in queues)
