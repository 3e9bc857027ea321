"""The known facts as tables: chains, factories, whom to listen to. Processes read only these."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Row, text

from indexer.model import NATIVE, Address, ChainId, Emitter, Factory, Hash32
from indexer.store import Tx


class ChainFacts(Protocol):
    """What is remembered of a known chain."""

    @property
    def id(self) -> ChainId: ...  # noqa: D102 - facts, named in the field's own terms
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def genesis_hash(self) -> Hash32: ...  # noqa: D102
    @property
    def block_time_s(self) -> float: ...  # noqa: D102
    @property
    def native_symbol(self) -> str: ...  # noqa: D102
    @property
    def native_name(self) -> str: ...  # noqa: D102
    @property
    def native_decimals(self) -> int: ...  # noqa: D102


# Several indexes of a row are unique, and an upsert can wait for one of them only.
_LOCK_SPACE = 0x6763  # the first key of our advisory lock for loading
_ONE_AT_A_TIME = text("select pg_advisory_xact_lock(:space, 0)")

_CHAIN = text("""
    insert into gazetteer.chains as c
        (chain_id, name, genesis_hash, block_time_ms, native_symbol, enabled)
    values (:chain_id, :name, :genesis_hash, :block_time_ms, :native_symbol, true)
    on conflict (chain_id) do update set
        name = excluded.name, genesis_hash = excluded.genesis_hash, block_time_ms = excluded.block_time_ms,
        native_symbol = excluded.native_symbol, enabled = true
""")

_NATIVE = text("""
    insert into gazetteer.tokens
        (chain_id, address, symbol, symbol_status, name, name_status, decimals, decimals_status,
         provisional, first_seen, resolved_at)
    values (:chain_id, :address, :symbol, 'ok', :name, 'ok', :decimals, 'ok', false,
            clock_timestamp(), clock_timestamp())
    on conflict (chain_id, address) do update set
        symbol = excluded.symbol, symbol_status = 'ok', name = excluded.name, name_status = 'ok',
        decimals = excluded.decimals, decimals_status = 'ok', provisional = false
""")

_CHAINS_OFF = text("update gazetteer.chains set enabled = false where enabled and chain_id != all(:chain_ids)")
_OFF = text("update gazetteer.factories set enabled = false where enabled and chain_id = any(:chain_ids)")

_FACTORY = text("""
    insert into gazetteer.factories
        (chain_id, address, dex, protocol, from_block, from_block_quality, init_code_hash, create2_deployer,
         fee_ppm, fee_kind, tier, confidence, source, enabled)
    values (:chain_id, :address, :dex, :protocol, :from_block, :from_block_quality, :init_code_hash,
            :create2_deployer, :fee_ppm, :fee_kind, :tier, :confidence, :source, :enabled)
    on conflict (chain_id, address) do update set
        dex = excluded.dex, protocol = excluded.protocol, from_block = excluded.from_block,
        from_block_quality = excluded.from_block_quality, init_code_hash = excluded.init_code_hash,
        create2_deployer = excluded.create2_deployer, fee_ppm = excluded.fee_ppm, fee_kind = excluded.fee_kind,
        tier = excluded.tier, confidence = excluded.confidence, source = excluded.source, enabled = excluded.enabled
""")

_TOPIC = text("""
    insert into gazetteer.coverage (chain_id, address, topic0) values (:chain_id, :address, :topic0)
    on conflict do nothing
""")

# A topic that the factory's protocol no longer decodes has nothing left to cover.
_TOPICS_GONE = text("""
    delete from gazetteer.coverage
    where chain_id = :chain_id and address = :address and topic0 != all(:topics)
""")

_WATCHED = text("""
    select f.*, c.topic0
    from gazetteer.coverage c
    join gazetteer.factories f using (chain_id, address)
    where c.chain_id = :chain_id and f.enabled
    order by c.address, c.topic0
""")

_FACTORIES = text("""
    select * from gazetteer.factories
    where chain_id = :chain_id and address = any(cast(:addresses as bytea[]))
""")


_CHAIN_NAME = text("select name from gazetteer.chains where chain_id = :chain_id")


def chain_name(tx: Tx, chain_id: ChainId) -> str:
    """The name that a chain's work and queues go by."""
    name: str = tx.execute(_CHAIN_NAME, {"chain_id": chain_id}).scalar_one()
    return name


def load(tx: Tx, chains: Sequence[ChainFacts], factories: Sequence[Factory]) -> None:
    """Make the tables say what is known now. Nothing is deleted: what is no longer known is switched off."""
    tx.execute(_ONE_AT_A_TIME, {"space": _LOCK_SPACE})
    chain_ids = sorted(chain.id for chain in chains)
    tx.execute(_CHAINS_OFF, {"chain_ids": chain_ids})
    for chain in sorted(chains, key=lambda chain: chain.id):
        tx.execute(_CHAIN, _chain_row(chain))
        tx.execute(_NATIVE, _native_row(chain))
    tx.execute(_OFF, {"chain_ids": chain_ids})
    ours = sorted(
        (factory for factory in factories if factory.chain_id in chain_ids),
        key=lambda factory: (factory.chain_id, factory.address),
    )
    if not ours:
        return
    tx.execute(_FACTORY, [_factory_row(factory) for factory in ours])
    for factory in ours:
        key = {"chain_id": factory.chain_id, "address": factory.address}
        tx.execute(_TOPICS_GONE, key | {"topics": list(factory.topics)})
    topics = [
        {"chain_id": factory.chain_id, "address": factory.address, "topic0": topic}
        for factory in ours
        for topic in sorted(factory.topics)
    ]
    tx.execute(_TOPIC, topics)


def watched(tx: Tx, chain_id: ChainId) -> tuple[Emitter, ...]:
    """Every enabled (emitter, topic0) of a chain, in key order."""
    rows = tx.execute(_WATCHED, {"chain_id": chain_id})
    return tuple(Emitter(topic0=Hash32(row.topic0), factory=_factory(row, (Hash32(row.topic0),))) for row in rows)


def factories_of(tx: Tx, chain_id: ChainId, addresses: Sequence[bytes]) -> dict[bytes, Factory]:
    """Factories by address, enabled or not; `topics` is left empty."""
    rows = tx.execute(_FACTORIES, {"chain_id": chain_id, "addresses": sorted(set(addresses))})
    return {row.address: _factory(row, ()) for row in rows}


def _chain_row(chain: ChainFacts) -> dict[str, object]:
    return {
        "chain_id": chain.id,
        "name": chain.name,
        "genesis_hash": chain.genesis_hash,
        "block_time_ms": int(chain.block_time_s * 1000),
        "native_symbol": chain.native_symbol,
    }


def _native_row(chain: ChainFacts) -> dict[str, object]:
    return {
        "chain_id": chain.id,
        "address": NATIVE,
        "symbol": chain.native_symbol,
        "name": chain.native_name,
        "decimals": chain.native_decimals,
    }


def _factory_row(factory: Factory) -> dict[str, object]:
    return {
        "chain_id": factory.chain_id,
        "address": factory.address,
        "dex": factory.dex,
        "protocol": factory.protocol,
        "from_block": factory.from_block,
        "from_block_quality": factory.from_block_quality,
        "init_code_hash": factory.init_code_hash,
        "create2_deployer": factory.create2_deployer,
        "fee_ppm": factory.fee_ppm,
        "fee_kind": factory.fee_kind,
        "tier": factory.tier,
        "confidence": factory.confidence,
        "source": factory.source,
        "enabled": factory.enabled,
    }


def _factory(row: Row[Any], topics: tuple[Hash32, ...]) -> Factory:
    return Factory(
        chain_id=row.chain_id,
        address=Address(row.address),
        dex=row.dex,
        protocol=row.protocol,
        from_block=row.from_block,
        from_block_quality=row.from_block_quality,
        topics=topics,
        enabled=row.enabled,
        init_code_hash=row.init_code_hash and Hash32(row.init_code_hash),
        create2_deployer=row.create2_deployer and Address(row.create2_deployer),
        fee_ppm=row.fee_ppm,
        fee_kind=row.fee_kind,
        tier=row.tier,
        confidence=row.confidence,
        source=row.source,
    )
