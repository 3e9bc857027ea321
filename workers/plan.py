"""What history will cost, per chain and endpoint: what `backfill --dry` prints, and `up` at its start."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from indexer import store
from indexer.errors import GazetteerError, MissingData, RangeRefused, Refused, Retryable, WrongChain
from indexer.flow import plan as costs
from indexer.flow.follow import final_header
from indexer.flow.plan import BYTES_A_POOL, HISTORY_SHARE, Cost, Learned
from indexer.flow.ranges import FIRST_SPAN, LARGEST_SPAN
from indexer.known import Chain
from indexer.model import Emitter
from indexer.ports import Node
from indexer.store import consent, cursor, facts
from indexer.store import plan as rows
from indexer.store.plan import Missing
from indexer.wire.node import HttpNode
from indexer.wire.redact import redacted
from workers import wiring
from workers.wording import folded

ASKED_AT_ONCE = 8
GIGABYTE = 10**9
MEGABYTE = 10**6
FEWEST_BLOCKS = 1_000
WIDTH = 79

Since = int | datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """One endpoint's part. `allowed`: history may be spent on it now; `failed`: why it could not be asked."""

    name: str
    keyed: bool
    allowed: bool
    cost: Cost
    learned: Learned | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPlan:
    """One chain's history. `missing` None: nothing is known of it, for the reason in `why`.

    `pools` is an estimate of what is still to come, None where nothing says how dense they are. `floor`: no block
    below it is read; None: all.
    """

    chain: str
    floor: int | None = None
    missing: Missing | None = None
    why: str | None = None
    endpoints: tuple[EndpointPlan, ...] = ()
    pools: int | None = None
    size_bytes: int | None = None

    @property
    def waits_for_consent(self) -> bool:
        """Whether something is missing and no endpoint may be spent on it, but a keyed one could be."""
        some = self.missing is not None and self.missing.blocks > 0
        return some and not any(each.allowed for each in self.endpoints) and any(each.keyed for each in self.endpoints)


def plan_lines(*, learn: bool = False, since: Since | None = None, names: Sequence[str] | None = None) -> list[str]:
    """The plan of each followed chain for a terminal of 80 columns. `learn`: ask the endpoints what they serve.

    Endpoints are asked without `learn` only where a chain has no anchor yet. Raises DatabaseUnavailable, and Refused
    where `since` cannot be a block of every chain.
    """
    plans = plan(names or wiring.chain_names(), learn=learn, since=since)
    return shown(plans)


def plan(
    names: Sequence[str], *, learn: bool = False, since: Since | None = None, simulated: bool = False
) -> tuple[ChainPlan, ...]:
    """The plan of each chain. With `since` from there on, else from where it was decided before.

    `simulated`: the register is of the demo, whose endpoints nobody but the demo knows; none is planned for or asked.
    """
    return tuple(_chain_plan(wiring.chain(name), learn, since, simulated) for name in names)


@dataclass(slots=True)
class _Found:
    """What is stored of one chain."""

    emitters: Sequence[Emitter]
    anchor: int | None
    floor: int | None
    pools: int
    weight: float | None


def _chain_plan(of: Chain, learn: bool, since: Since | None, simulated: bool) -> ChainPlan:
    with store.begin(wiring.db()) as tx:
        where = cursor.read(tx, of.id)
        found = _Found(
            emitters=facts.watched(tx, of.id),
            anchor=where.anchor.number if where else None,
            floor=consent.read(tx, of.id).floor,
            pools=rows.pools(tx, of.id),
            weight=rows.bytes_a_pool(tx),
        )
    if not found.emitters:
        return ChainPlan(chain=of.name, why="no factory of it is known here: run gazetteer migrate")
    if simulated and found.anchor is None:
        return ChainPlan(chain=of.name, why="it has no anchor yet")
    try:
        found.anchor = _finalized(of) if found.anchor is None else found.anchor
        found.floor = found.floor if since is None else floor_of(of.name, since, found.anchor)
    except Retryable as error:
        return ChainPlan(chain=of.name, why=f"no endpoint answers ({redacted(str(error))})")
    with store.begin(wiring.db()) as tx:
        missing = rows.missing(tx, of.id, floor=found.floor, anchor=found.anchor)
    if missing is None:
        return ChainPlan(chain=of.name, floor=found.floor, why="there is nothing to read")
    endpoints = () if simulated else _endpoint_plans(of, found, missing, learn)
    pools = _pools(found, missing, [each.learned for each in endpoints if each.learned])
    return ChainPlan(
        chain=of.name,
        floor=found.floor,
        missing=missing,
        endpoints=endpoints,
        pools=pools,
        size_bytes=None if pools is None else int(pools * (found.weight or BYTES_A_POOL)),
    )


def floor_of(name: str, since: Since, anchor: int | None = None) -> int:
    """The block that `since` is on a chain, by bisection for a date. Raises Retryable where no endpoint answers."""
    if isinstance(since, int):
        return since
    moment_s = int(since.timestamp())
    return _asked(name, lambda node: costs.block_at(node, moment_s, _top(node, wiring.chain(name), anchor)))


def _top(node: Node, of: Chain, anchor: int | None) -> int:
    return final_header(node, of, node.heads()).number if anchor is None else anchor


def _finalized(of: Chain) -> int:
    return _asked(of.name, lambda node: final_header(node, of, node.heads()).number)


def _asked(name: str, question: Callable[[Node], int]) -> int:
    """The answer of the first endpoint that gives one. Raises MissingData where none does."""
    endpoints = wiring.endpoints(name, "live")
    for _ in range(endpoints.count):
        node = endpoints.choose()
        if node is None:
            break
        try:
            return question(node)
        except Retryable as error:
            endpoints.failed(node, error)
    raise MissingData(endpoints.why())


def _endpoint_plans(of: Chain, found: _Found, missing: Missing, learn: bool) -> tuple[EndpointPlan, ...]:
    each = [(url, node, wiring.may_read_history(of, url)) for url, node in wiring.nodes(of.name, "history")]
    last = found.anchor or 0
    asks = [(node, learn and allowed and missing.blocks > 0) for _, node, allowed in each]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        told = list(pool.map(lambda ask: _learned(of, ask[0], found.emitters, last) if ask[1] else None, asks))
    return tuple(
        _endpoint_plan(url, node.name, allowed, missing, answer)
        for (url, node, allowed), answer in zip(each, told, strict=True)
    )


def _learned(of: Chain, node: HttpNode, emitters: Sequence[Emitter], last: int) -> Learned | GazetteerError:
    try:
        if node.chain_identity() != (int(of.id), of.genesis_hash):
            return WrongChain("serves another chain")
        return costs.learn(node, emitters, last)
    except (Retryable, RangeRefused, Refused) as error:
        return error


def _endpoint_plan(
    url: str, name: str, allowed: bool, missing: Missing, told: Learned | GazetteerError | None
) -> EndpointPlan:
    learned = told if isinstance(told, Learned) else None
    per_s = wiring.settings().requests_per_s
    return EndpointPlan(
        name=name,
        keyed=wiring.is_keyed(url),
        allowed=allowed,
        cost=costs.cost(missing.blocks, requests_per_s=per_s, span=learned.span if learned else None),
        learned=learned,
        failed=redacted(str(told) or type(told).__name__) if isinstance(told, GazetteerError) else None,
    )


def _pools(found: _Found, missing: Missing, learned: Sequence[Learned]) -> int | None:
    """How many pools the missing blocks may hold, by the density of what was read; None where nothing was."""
    scanned = missing.total - missing.blocks
    samples = [(each.pools, each.blocks) for each in learned]
    samples += [(found.pools, scanned)]
    pools, blocks = max(samples, key=lambda sample: sample[1])
    return None if blocks < FEWEST_BLOCKS else int(pools * missing.blocks / blocks)


def shown(plans: Sequence[ChainPlan]) -> list[str]:
    """The plans in lines of less than 80 columns, and what their numbers stand on.

    Only the name of an endpoint may be longer, as half a name is of no use.
    """
    lines = [line for each in plans for line in _chain_lines(each)]
    priced = any(of.missing is not None and of.missing.blocks and of.endpoints for of in plans)
    return [*lines, *_assumed(plans)] if priced else lines


def _chain_lines(of: ChainPlan) -> list[str]:
    """One chain's plan, in lines of less than 80 columns."""
    if of.missing is None:
        return folded(f"{of.chain}: {of.why}", WIDTH, "  ")
    if of.missing.blocks == 0:
        return [f"{of.chain}: nothing is missing of {of.missing.total:,} blocks"]
    lines = [
        f"{of.chain}: {of.missing.blocks:,} of {of.missing.total:,} blocks missing ({of.missing.percent:.2f} % read)"
    ]
    if wiring.settings().history == "none":
        lines.append("  not read: the setting history is none")
    for each in of.endpoints:
        lines += _endpoint_lines(each)
    return [*lines, _disk(of)]


def _endpoint_lines(of: EndpointPlan) -> list[str]:
    if not of.allowed:
        why = "has a key: its quota is spent on history only by consent (--yes)" if of.keyed else "not used for history"
        return [f"  {of.name}", f"    {why}"]
    if of.failed is not None:
        return [f"  {of.name}", *folded(f"    cannot be asked now: {of.failed}", WIDTH, "      ")]
    (least, most), (hours_least, hours_most) = of.cost.requests, of.cost.hours
    if of.learned is not None:
        told = f"{least:,} requests, {_hours(hours_least)} (serves {of.learned.span:,} blocks at once)"
    else:
        times = dict.fromkeys((_hours(hours_least), _hours(hours_most)))
        told = f"{least:,} to {most:,} requests, {' to '.join(times)}"
    return [f"  {of.name}{' (keyed)' if of.keyed else ''}", f"    {told}"]


def _hours(hours: float) -> str:
    if hours < 1:
        return "under 1 min" if hours * 60 < 1 else f"{hours * 60:.0f} min"
    return f"{hours:,.1f} h" if hours < 100 else f"{hours:,.0f} h"  # noqa: PLR2004 - three digits are enough


def _disk(of: ChainPlan) -> str:
    if of.pools is None or of.size_bytes is None:
        return "  disk: not known before something was read"
    size = f"{of.size_bytes / GIGABYTE:,.1f} GB" if of.size_bytes >= GIGABYTE else f"{of.size_bytes / MEGABYTE:,.0f} MB"
    return f"  disk: about {size} for about {of.pools:,} pools (an estimate, by density)"


def _assumed(plans: Sequence[ChainPlan]) -> list[str]:
    """What the numbers stand on."""
    per_s = wiring.settings().requests_per_s
    told = (
        f"Assumed: {HISTORY_SHARE * per_s:g} requests a second at one endpoint for history (half of requests_per_s: "
        "the head goes first), one endpoint alone doing all of it."
    )
    if any(each.allowed and each.learned is None for of in plans for each in of.endpoints):
        told += f" An endpoint that was not asked serves {FIRST_SPAN:,} to {LARGEST_SPAN:,} blocks at once."
    others = min(wiring.settings().witnesses, max(sum(each.allowed for each in of.endpoints) for of in plans)) - 1
    if others > 0:
        again = "once" if others == 1 else f"{others} times"
        told += f" Audits then read it {again} more, through other endpoints, while nothing else is left to read."
    return folded(told, WIDTH)
