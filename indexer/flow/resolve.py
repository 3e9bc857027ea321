"""Complete what was announced: tokens describe themselves, pools answer what their event left open.

A batch is claimed in one short transaction, asked outside of any, and written in another short one, fenced by the
lease: who lost it writes nothing. A positive answer is kept at once. A negative one is provisional until the same
token was asked again, alone, at a final block that is not older than the newest pool of this token. A pool that says
nothing is asked again until its own block is final.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from indexer import store
from indexer.dex import BY_NAME
from indexer.errors import MethodOff, MissingData, Retryable
from indexer.evm import erc20
from indexer.evm.dialogue import Dialogue, as_far_as, together
from indexer.flow.asking import Multicalls, ask_alone_while, ask_together
from indexer.known import Chain
from indexer.model import Address, BlockRef, Claimed, Cursor, Lane, PoolAnswers, PoolKey, Token
from indexer.ports import Node
from indexer.store import Db, cursor, pools, tokens, work
from indexer.store.clock import Clock

TOKENS_A_BATCH = {Lane.LIVE: 200, Lane.HISTORY: 1_000}
"""New pools wait for no crowd, history asks in as few requests as it can."""
MOST_AGAIN = 200
"""Of one batch: each takes a few requests of its own, and a batch has to end long before its lease does."""
POOLS_A_BATCH = {Lane.LIVE: 100, Lane.HISTORY: 100}
CONFIRM_SOONEST_S = 1.0
CONFIRM_LATEST_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What one batch came to. `full`: more may be due; `written` rows, of which `provisional` will be asked again."""

    asked: int = 0
    written: int = 0
    provisional: int = 0
    early: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    claimed: Claimed
    more: bool
    cursor: Cursor
    first: tuple[Address, ...]
    again: tuple[Address, ...]
    early: tuple[tuple[Address, int], ...]


def resolve_tokens(
    db: Db,
    node: Node,
    chain: Chain,
    clock: Clock,
    *,
    lease_s: float,
    slowest: Lane = Lane.HISTORY,
    full: Callable[[], object] = lambda: None,
) -> Resolved:
    """One batch of tokens of one chain. Raises Retryable if the node cannot answer; the claim is given back.

    Lanes slower than `slowest` are left to others. `full` is called before asking where there may be more than a batch.
    """
    with store.begin(db) as tx:
        batch = _claim_tokens(tx, chain, clock(tx), lease_s, slowest)
    if batch is None:
        return Resolved()
    if batch.claimed.full:
        full()
    failed: list[Retryable] = []
    try:
        read = _ask_tokens(node, chain, batch, failed)
    except (Retryable, MethodOff) as error:
        _give_back(db, batch.claimed, clock, error)
        raise
    with store.begin(db) as tx:
        done = _write_tokens(tx, chain, batch, _Read(read, failed), clock(tx))
    if failed:
        raise failed[0]
    return done


def _claim_tokens(tx: store.Tx, chain: Chain, now: datetime, lease_s: float, slowest: Lane) -> _Batch | None:
    where = cursor.read(tx, chain.id)
    if where is None:
        return None
    found = _claim(tx, "token", chain, TOKENS_A_BATCH, lease_s, slowest, now)
    if found is None:
        return None
    claimed, more = found
    asked = tokens.to_ask(tx, chain.id, claimed.keys)
    since = tokens.mentioned(tx, chain.id, [token for token, again in asked if again])
    return _Batch(
        claimed=claimed,
        more=more,
        cursor=where,
        first=tuple(token for token, again in asked if not again),
        again=tuple(Address(token) for token, block in since.items() if block <= where.anchor.number),
        early=tuple((Address(token), block) for token, block in since.items() if block > where.anchor.number),
    )


def _claim(
    tx: store.Tx,
    kind: str,
    chain: Chain,
    most: Mapping[Lane, int],
    lease_s: float,
    slowest: Lane,
    now: datetime,
) -> tuple[Claimed, bool] | None:
    """What is due of the fastest lane that has anything due, and of no other: what is new waits for no crowd.

    And whether there may be more, in this lane or in a slower one.
    """
    for lane in Lane:
        if lane <= slowest:
            claimed = work.claim(tx, kind, chain.name, limit=most[lane], lease_s=lease_s, now=now, slowest=lane)
            if claimed is not None:
                return claimed, claimed.full or lane < slowest
    return None


def _ask_tokens(node: Node, chain: Chain, batch: _Batch, failed: list[Retryable]) -> list[Token]:
    """What the tokens say. Some are asked alone, as far as that goes: what ended it is put into `failed`."""
    read: list[Token] = []
    if batch.first:
        pin = _fresh_pin(node, batch.cursor)
        ways = Multicalls(limited=chain.uniswap_multicall, unlimited=chain.multicall3)
        described = together(erc20.questions_of(batch.first), lambda asked: ask_together(node, ways, asked, pin))
        read += [_token(chain, *pair, pin, final=False) for pair in zip(batch.first, described, strict=True)]
    if batch.again:
        pin = batch.cursor.anchor
        dialogues = erc20.questions_of(batch.again[:MOST_AGAIN])
        told = as_far_as(dialogues, lambda asked: ask_alone_while(node, asked, pin, failed))
        if failed and not read and not told:
            raise failed[0]
        read += [_token(chain, batch.again[at], each, pin, final=True) for at, each in told.items()]
    return read


def _fresh_pin(node: Node, where: Cursor) -> BlockRef:
    """The endpoint's newest block, which must not be older than our tip: a token may have been born there."""
    latest = node.heads().latest
    if latest.number < where.tip.number:
        message = f"{node.name} is at block {latest.number}, behind our tip {where.tip.number}"
        raise MissingData(message)
    return latest.ref


def _token(chain: Chain, address: Address, told: erc20.Described, pin: BlockRef, *, final: bool) -> Token:
    return Token(
        chain_id=chain.id,
        address=address,
        symbol=told.symbol,
        name=told.name,
        decimals=told.decimals,
        pin=pin,
        provisional=not (final or told.settled),
    )


def _rewound(tx: store.Tx, where: Cursor) -> bool:
    """Whether a fork took blocks back since `where` was read: what was asked since may be of the lost branch."""
    here = cursor.read(tx, where.chain_id)
    return here is None or here.rewinds != where.rewinds


def _as_of(token: Token, since: int, doubtful: bool) -> Token:
    """Provisional where it may not speak of our chain as it is now.

    A negative does not if it is older than the newest mention (a pool was announced while it was asked), and no
    answer of a fresh block does if a fork came meanwhile (`doubtful`).
    """
    told = all(field.status == "ok" for field in (token.symbol, token.name, token.decimals))
    late = not told and token.pin.number < since
    return replace(token, provisional=True) if late or doubtful else token


@dataclass(frozen=True, slots=True)
class _Read:
    tokens: Sequence[Token]
    failed: Sequence[Retryable]


def _write_tokens(tx: store.Tx, chain: Chain, batch: _Batch, read: _Read, now: datetime) -> Resolved:
    since = tokens.mentioned(tx, chain.id, batch.claimed.keys, lock=True)
    doubtful = _rewound(tx, batch.cursor)
    mine = work.mine(tx, batch.claimed, now)
    ours = [_as_of(token, since[token.address], doubtful) for token in read.tokens if token.address in mine]
    written = tokens.write(tx, ours, now)
    work.done(tx, batch.claimed, [token.address for token in ours if not token.provisional])
    waiting = [(token.address, since[token.address]) for token in ours if token.provisional]
    waiting += [(address, block) for address, block in batch.early if address in mine]
    if waiting:
        due = now + _until_final(chain, batch.cursor, max(block for _, block in waiting))
        work.again(tx, batch.claimed, [key for key, _ in waiting], due, "a negative waits for finality")
    unread = {*batch.first, *batch.again}.difference(token.address for token in read.tokens)
    if unread:
        soon = now + timedelta(seconds=CONFIRM_SOONEST_S if read.failed else 0)
        work.again(tx, batch.claimed, sorted(unread), soon, _why(read.failed[0]) if read.failed else "waits its turn")
    known = {*batch.first, *batch.again} | {address for address, _ in batch.early}
    work.done(tx, batch.claimed, [key for key in batch.claimed.keys if key not in known])
    return Resolved(
        asked=len(read.tokens),
        written=written,
        provisional=len(waiting),
        early=len(batch.early),
        full=batch.more or bool(unread),
    )


def _until_final(chain: Chain, where: Cursor, block: int) -> timedelta:
    """Half the time that the anchor should need to reach `block`, so that waiting converges on it."""
    wait_s = (block - where.anchor.number) * chain.block_time_s / 2
    return timedelta(seconds=min(max(wait_s, CONFIRM_SOONEST_S), CONFIRM_LATEST_S))


def resolve_pools(
    db: Db,
    node: Node,
    chain: Chain,
    clock: Clock,
    *,
    lease_s: float,
    slowest: Lane = Lane.HISTORY,
    full: Callable[[], object] = lambda: None,
) -> Resolved:
    """One batch of pools whose event left something to ask; else as `resolve_tokens`."""
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        if where is None:
            return Resolved()
        now = clock(tx)
        found = _claim(tx, "pool", chain, POOLS_A_BATCH, lease_s, slowest, now)
        asked = pools.to_ask(tx, chain.id, found[0].keys) if found else []
    if found is None:
        return Resolved()
    claimed, more = found
    if claimed.full:
        full()
    questions: list[tuple[PoolKey, Dialogue[PoolAnswers]]] = []
    for key, factory in asked:
        question = BY_NAME[factory.protocol].questions
        if question is not None:
            questions.append((key, question(key, factory)))
    try:
        pin = _fresh_pin(node, where)
        ways = Multicalls(limited=chain.uniswap_multicall, unlimited=chain.multicall3)
        dialogues = [dialogue for _, dialogue in questions]
        told = together(dialogues, lambda batch: ask_together(node, ways, batch, pin))
    except (Retryable, MethodOff) as error:
        _give_back(db, claimed, clock, error)
        raise
    with store.begin(db) as tx:
        answers = [(key, answer) for (key, _), answer in zip(questions, told, strict=True)]
        done = _write_pools(tx, chain, claimed, where, answers, pin, clock(tx))
    return replace(done, full=more)


def _write_pools(
    tx: store.Tx,
    chain: Chain,
    claimed: Claimed,
    where: Cursor,
    told: Sequence[tuple[PoolKey, PoolAnswers]],
    pin: BlockRef,
    now: datetime,
) -> Resolved:
    """A pool above the anchor that said nothing, or was asked while a fork came, is asked again: it may be another."""
    blocks = pools.hold(tx, chain.id, claimed.keys)
    doubtful = _rewound(tx, where)
    mine = work.mine(tx, claimed, now)
    ours = {key: answer for key, answer in told if key in mine}
    open_ = [key for key in ours if blocks.get(key, 0) > where.anchor.number]
    early = [key for key in open_ if doubtful or ours[key] == PoolAnswers()]
    for key in early:
        del ours[key]
    pools.answer(tx, chain.id, list(ours.items()), pin, now)
    if early:
        due = now + _until_final(chain, where, max(blocks[key] for key in early))
        work.again(tx, claimed, early, due, "a negative waits for finality")
    work.done(tx, claimed, sorted(mine.difference(early)))
    return Resolved(asked=len(told), written=len(ours), early=len(early))


def _give_back(db: Db, claimed: Claimed, clock: Clock, error: Exception) -> None:
    """A hiccup of the outside is nobody's fault: the rows are due again soon, and no loss is counted.

    Anything unforeseen is not given back: its lease runs out, which counts as a loss, and the fifth loss is death.
    """
    with store.begin(db) as tx:
        due = clock(tx) + timedelta(seconds=CONFIRM_SOONEST_S)
        work.again(tx, claimed, claimed.keys, due, _why(error))


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
