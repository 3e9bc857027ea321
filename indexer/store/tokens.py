"""What tokens said about themselves, when, and whether a negative answer was final."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from indexer.model import Address, ChainId, Field, Token
from indexer.store import Tx

_TO_ASK = text("""
    select address, provisional and pin_number is not null as again
    from gazetteer.tokens
    where chain_id = :chain_id and address = any(cast(:keys as bytea[]))
    order by address
""")

# Without a target: the address as text is unique too, and either index may be the first to see another writer's row.
_NEW = text("""
    insert into gazetteer.tokens (chain_id, address, first_seen)
    select :chain_id, address, :now from unnest(cast(:addresses as bytea[])) as t(address) order by address
    on conflict do nothing
    returning address
""")

# Whoever is about to make a negative final holds the row until we have read it, or waits until our pool is there.
# Settled rows are left alone: a famous token is mentioned by everybody at once.
# Looked up one by one: a list to compare with makes the planner read all tokens of the chain while it knows no better.
_UNSETTLED = text("""
    select t.address, t.symbol_status = 'no_code' and not t.provisional as gone
    from unnest(cast(:addresses as bytea[])) as k(address)
    join gazetteer.tokens t on t.chain_id = :chain_id and t.address = k.address
    where t.provisional or t.symbol_status = 'no_code'
    order by t.address
    for update of t
""")

_LOCK = text("""
    select from gazetteer.tokens
    where chain_id = :chain_id and address = any(cast(:keys as bytea[]))
    order by address
    for update
""")

_DOUBT = text("""
    with doubted as (
        select address from gazetteer.tokens
        where chain_id = :chain_id and pin_number > :block
        order by address
        for update
    )
    update gazetteer.tokens t set provisional = true
    from doubted
    where t.chain_id = :chain_id and t.address = doubted.address
    returning t.address
""")

# Of a block's hash we are certain where a step ended, and where the head found a pool.
_STRAYED = text("""
    with ours as (
        select number, hash from gazetteer.checkpoints
        where chain_id = :chain_id and number between :first and :last
        union
        select block_number, block_hash from gazetteer.pools
        where chain_id = :chain_id and block_number between :first and :last
          and source = 'head' and orphaned_at is null
    ), strayed as (
        select t.address from gazetteer.tokens t join ours o on o.number = t.pin_number and o.hash <> t.pin_hash
        where t.chain_id = :chain_id and t.pin_number between :first and :last
        order by t.address
        for update of t
    )
    update gazetteer.tokens t set provisional = true
    from strayed
    where t.chain_id = :chain_id and t.address = strayed.address
    returning t.address
""")

# `offset 0` keeps the planner at the token's own index: without statistics it would rather walk the chain's blocks
# until it meets the token, or read the whole chain for each token to cross the two.
_MENTIONED = text("""
    select address, greatest(
        (select max(block_number) from (
             select chain_id, block_number, orphaned_at from gazetteer.pools
             where '0x' || encode(token0, 'hex') = '0x' || encode(address, 'hex') offset 0) as first
         where chain_id = :chain_id and orphaned_at is null),
        (select max(block_number) from (
             select chain_id, block_number, orphaned_at from gazetteer.pools
             where '0x' || encode(token1, 'hex') = '0x' || encode(address, 'hex') offset 0) as second
         where chain_id = :chain_id and orphaned_at is null), 0) as block
    from unnest(cast(:keys as bytea[])) as k(address)
""")

_WRITE = text("""
    with told as (
        select * from unnest(
            cast(:chain_ids as bigint[]), cast(:addresses as bytea[]),
            cast(:symbols as text[]), cast(:symbol_statuses as text[]), cast(:symbol_raws as bytea[]),
            cast(:names as text[]), cast(:name_statuses as text[]), cast(:name_raws as bytea[]),
            cast(:decimals as smallint[]), cast(:decimals_statuses as text[]), cast(:decimals_raws as bytea[]),
            cast(:provisionals as boolean[]), cast(:pin_numbers as bigint[]), cast(:pin_hashes as bytea[])
        ) as t(chain_id, address, symbol, symbol_status, symbol_raw, name, name_status, name_raw,
               decimals, decimals_status, decimals_raw, provisional, pin_number, pin_hash)
    ), old as (
        select t.chain_id, t.address, t.resolved_at,
               (t.symbol, t.symbol_status, t.name, t.name_status, t.decimals, t.decimals_status)
               is distinct from
               (n.symbol, n.symbol_status, n.name, n.name_status, n.decimals, n.decimals_status) as differs
        from gazetteer.tokens t join told n using (chain_id, address)
        order by t.chain_id, t.address
        for update of t
    ), written as (
        update gazetteer.tokens t set
            symbol = n.symbol, symbol_status = n.symbol_status, symbol_raw = n.symbol_raw,
            name = n.name, name_status = n.name_status, name_raw = n.name_raw,
            decimals = n.decimals, decimals_status = n.decimals_status, decimals_raw = n.decimals_raw,
            provisional = n.provisional, pin_number = n.pin_number, pin_hash = n.pin_hash,
            resolved_at = coalesce(t.resolved_at, :now)
        from told n join old using (chain_id, address)
        where t.chain_id = n.chain_id and t.address = n.address
        returning t.chain_id, t.address, n.pin_number, old.resolved_at is null as first, old.differs
    ), told_of as (
        insert into gazetteer.events (kind, chain_id, subject, block_number, source, at)
        select case when first then 'token.resolved' else 'token.changed' end,
               chain_id, address, pin_number, 'resolve', :now
        from written where first or differs
        order by chain_id, address
    )
    select count(*) from written
""")


def seen(tx: Tx, chain_id: ChainId, addresses: Sequence[bytes], now: datetime) -> list[bytes]:
    """Remember these tokens; returns those that have to be asked: new ones, and ones that had no code.

    Somebody may have deployed the latter since. Unsettled ones stay locked.
    """
    ordered = sorted(set(addresses))
    fresh = {bytes(row.address) for row in tx.execute(_NEW, {"chain_id": chain_id, "addresses": ordered, "now": now})}
    older = [address for address in ordered if address not in fresh]
    if older:
        rows = tx.execute(_UNSETTLED, {"chain_id": chain_id, "addresses": older})
        fresh |= {bytes(row.address) for row in rows if row.gone}
    return sorted(fresh)


def to_ask(tx: Tx, chain_id: ChainId, keys: Sequence[bytes]) -> list[tuple[Address, bool]]:
    """The tokens among `keys`, and whether they are to be asked again because of a provisional answer."""
    rows = tx.execute(_TO_ASK, {"chain_id": chain_id, "keys": sorted(keys)})
    return [(Address(row.address), row.again) for row in rows]


def doubt(tx: Tx, chain_id: ChainId, above: int) -> list[bytes]:
    """Answers from blocks that a fork took back are provisional from now on; returns whose they are."""
    return sorted(bytes(row.address) for row in tx.execute(_DOUBT, {"chain_id": chain_id, "block": above}))


def strayed(tx: Tx, chain_id: ChainId, above: int, to: int) -> list[bytes]:
    """Answers that were given at a block of (above, to] on another branch than ours are provisional from now on.

    Returns whose they are. Blocks whose hash was never kept are not looked at.
    """
    rows = tx.execute(_STRAYED, {"chain_id": chain_id, "first": above + 1, "last": to})
    return sorted({bytes(row.address) for row in rows})


def mentioned(tx: Tx, chain_id: ChainId, keys: Sequence[bytes], *, lock: bool = False) -> dict[bytes, int]:
    """The newest block with a pool of each of these tokens; 0 where none is left. `lock`: no newer one may come."""
    told = {"chain_id": chain_id, "keys": sorted(keys)}
    if lock:
        tx.execute(_LOCK, told)
    return {bytes(row.address): row.block for row in tx.execute(_MENTIONED, told)}


def write(tx: Tx, told: Sequence[Token], now: datetime) -> int:
    """Write what tokens said, with an event where it is the first answer or another one; returns the rows written."""
    if not told:
        return 0
    ordered = sorted(told, key=lambda token: (token.chain_id, token.address))
    columns: dict[str, object] = {
        "now": now,
        "chain_ids": [token.chain_id for token in ordered],
        "addresses": [token.address for token in ordered],
        "provisionals": [token.provisional for token in ordered],
        "pin_numbers": [token.pin.number for token in ordered],
        "pin_hashes": [token.pin.hash for token in ordered],
        "symbols": [token.symbol.text for token in ordered],
        "names": [token.name.text for token in ordered],
        "decimals": [token.decimals.number for token in ordered],
    }
    columns |= _field("symbol", [token.symbol for token in ordered])
    columns |= _field("name", [token.name for token in ordered])
    columns |= _field("decimals", [token.decimals for token in ordered])
    count: int = tx.execute(_WRITE, columns).scalar_one()
    return count


def _field(name: str, fields: Sequence[Field]) -> dict[str, object]:
    return {f"{name}_statuses": [field.status for field in fields], f"{name}_raws": [field.raw for field in fields]}
