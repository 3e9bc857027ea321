"""The base tables, schema `gazetteer`. Migrations are checked against this module (`alembic check`).

Addresses and hashes are bytea with CHECKed lengths. Nothing here is public: people read schema `api`.
What venues list stands in `listing_tables`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

import indexer.store.asset_tables
import indexer.store.listing_tables  # noqa: F401 - its tables are part of the same metadata
from indexer.store.columns import SCHEMA, bytes_of, hex_of, metadata, moment

__all__ = ["SCHEMA", "metadata"]

# The 64 bits as the views show them.
_UNSIGNED_HASH = text("mod(hash::numeric + 18446744073709551616, 18446744073709551616)")

# A pool inside a singleton has an id, but no address. In Postgres's own lines, so that `drift` knows it again.
_POOL_ADDRESS = text("(\ncase\nwhen octet_length(pool_key) = 20 then '0x' || encode(pool_key, 'hex')\nelse null\nend)")

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

chains = Table(
    "chains",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    *bytes_of("genesis_hash", 32),
    Column("block_time_ms", Integer, nullable=False),
    Column("native_symbol", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # what the operator decided about history: how far back, and whether endpoints with a key may be spent on it
    Column("history_from", BigInteger),
    Column("history_consent", Boolean, nullable=False, server_default=text("false")),
)

factories = Table(
    "factories",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    *bytes_of("address", 20),
    Column("dex", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("from_block", BigInteger, nullable=False),
    Column("from_block_quality", Text, nullable=False),
    *bytes_of("init_code_hash", 32, nullable=True),
    *bytes_of("create2_deployer", 20, nullable=True),
    Column("fee_ppm", Integer),
    Column("fee_kind", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("confidence", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    PrimaryKeyConstraint("chain_id", "address"),
    ForeignKeyConstraint(["chain_id"], ["gazetteer.chains.chain_id"]),
)

# One row per (emitter, topic0): its existence says whom to listen to, its ranges what was really listened to.
coverage = Table(
    "coverage",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    *bytes_of("address", 20),
    *bytes_of("topic0", 32),
    Column("scanned", INT8MULTIRANGE, nullable=False, server_default=text("'{}'")),
    # the part of it that a second endpoint has confirmed; the rest is left to audit
    Column("audited", INT8MULTIRANGE, nullable=False, server_default=text("'{}'")),
    Column("listened_from", BigInteger),  # the head listens from there on, without a gap; NULL: its last step did not
    PrimaryKeyConstraint("chain_id", "address", "topic0"),
    ForeignKeyConstraint(["chain_id", "address"], ["gazetteer.factories.chain_id", "gazetteer.factories.address"]),
    CheckConstraint("scanned @> audited", name="audited"),
)

# Who read what is scanned and not yet audited, or a part of it: whoever may not audit it alone. Not what is left.
readings = Table(
    "readings",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    Column("endpoint", Text, nullable=False),  # its public name
    Column("ranges", INT8MULTIRANGE, nullable=False),
    PrimaryKeyConstraint("chain_id", "endpoint"),
    ForeignKeyConstraint(["chain_id"], ["gazetteer.chains.chain_id"]),
)

# How often an endpoint answered, failed or told something else than others did. For people, not state.
endpoint_counts = Table(
    "endpoint_counts",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    Column("endpoint", Text, nullable=False),  # its public name
    Column("what", Text, nullable=False),
    Column("times", BigInteger, nullable=False),
    moment("last_at"),
    PrimaryKeyConstraint("chain_id", "endpoint", "what"),
    ForeignKeyConstraint(["chain_id"], ["gazetteer.chains.chain_id"]),
)

scans = Table(
    "scans",
    metadata,
    Column("lease_id", Uuid, primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("first_block", BigInteger, nullable=False),
    Column("last_block", BigInteger, nullable=False),
    Column("emitters", JSONB, nullable=False),  # [[address hex, topic0 hex], ...] of the emitters promised
    moment("lease_until"),
    CheckConstraint("first_block <= last_block", name="range"),
    Index(None, "chain_id", "lease_until"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tip_number", BigInteger, nullable=False),
    *bytes_of("tip_hash", 32),
    Column("anchor_number", BigInteger, nullable=False),
    *bytes_of("anchor_hash", 32),
    moment("tip_at"),  # when the tip last moved
    moment("tip_block_at", nullable=True),  # the tip block's own time
    Column("halted", Text),  # why, and the command to run
    Column("rewinds", BigInteger, nullable=False, server_default=text("0")),  # forks that took blocks back
    ForeignKeyConstraint(["chain_id"], ["gazetteer.chains.chain_id"]),
    CheckConstraint("anchor_number <= tip_number", name="order"),
)

# What the follower last saw, beside the cursor so that telling it never waits for a step. Not state.
sightings = Table(
    "sightings",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("head_number", BigInteger),
    moment("head_block_at", nullable=True),
    Column("safe_number", BigInteger),
    Column("finalized_number", BigInteger),
    moment("finalized_moved_at", nullable=True),
    Column("endpoint", Text),
    Column("wakeups", Text),  # websocket | polling
    Column("note", Text),  # one sentence: what it waits for; NULL: nothing
    moment("seen_at"),
    ForeignKeyConstraint(["chain_id"], ["gazetteer.chains.chain_id"]),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    *bytes_of("hash", 32),
    Column("endpoint", Text),  # who read the blocks up to it; NULL: nobody, it was begun with
    PrimaryKeyConstraint("chain_id", "number"),
)

pools = Table(
    "pools",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    Column("pool_key", LargeBinary, nullable=False),
    *bytes_of("emitter", 20),
    *bytes_of("topic0", 32),
    Column("dex", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    *bytes_of("token0", 20),
    *bytes_of("token1", 20),
    Column("fee_ppm", Integer),
    Column("fee_kind", Text, nullable=False),
    Column("tick_spacing", Integer),
    Column("bin_step", Integer),
    Column("stable", Boolean),
    *bytes_of("hooks", 20, nullable=True),
    *bytes_of("deployer", 20, nullable=True),
    Column("pool_index", BigInteger),
    Column("proof", Text, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    *bytes_of("block_hash", 32),
    *bytes_of("tx_hash", 32),
    Column("log_index", Integer, nullable=False),
    moment("created_at", nullable=True),
    Column("created_at_kind", Text),
    moment("first_seen"),
    Column("source", Text, nullable=False),
    moment("orphaned_at", nullable=True),
    # what the pool said when asked (families whose event leaves something to ask)
    Column("answered_block", BigInteger),
    moment("answered_at", nullable=True),
    PrimaryKeyConstraint("chain_id", "pool_key"),
    ForeignKeyConstraint(["chain_id", "emitter"], ["gazetteer.factories.chain_id", "gazetteer.factories.address"]),
    CheckConstraint("octet_length(pool_key) in (20, 32)", name="pool_key_length"),
    CheckConstraint("source in ('head', 'history')", name="source"),
    CheckConstraint("proof in ('create2', 'pool_key', 'log')", name="proof"),
    CheckConstraint("created_at_kind in ('log', 'header', 'estimated')", name="created_at_kind"),
    CheckConstraint("(created_at is null) = (created_at_kind is null)", name="created_at_both"),
    # ids are nearly unique: a hash is half of a tree; tokens repeat: a tree keeps each of them once
    Index("ix_pools_id", hex_of("pool_key"), postgresql_using="hash"),
    Index("ix_pools_address", _POOL_ADDRESS, postgresql_using="hash"),
    Index("ix_pools_tokens", hex_of("token0"), hex_of("token1")),
    Index("ix_pools_token1", hex_of("token1")),
    Index(None, "chain_id", "block_number", "log_index"),
    Index(None, "created_at"),
    Index(None, "chain_id", "created_at"),
    Index("ix_pools_first_seen", "first_seen", postgresql_where=text("source = 'head'")),
    Index("ix_pools_estimated", "chain_id", "block_number", postgresql_where=text("created_at_kind = 'estimated'")),
    Index("ix_pools_orphaned_at", "orphaned_at", postgresql_where=text("orphaned_at is not null")),
)

instruments = Table(
    "instruments",
    metadata,
    Column("natural_key", Text, primary_key=True),
    Column("hash", BigInteger, nullable=False),  # the unsigned 64 bits, read as signed
    Column("hash_salt", SmallInteger, nullable=False, server_default=text("0")),
    Column("venue", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("asset_class", Text),  # NULL: nobody says
    Column("inst_class", Text),
    Column("chain_id", BigInteger),
    Column("pool_key", LargeBinary),
    moment("first_seen"),
    UniqueConstraint("hash"),
    UniqueConstraint("chain_id", "pool_key"),
    Index("ix_instruments_unsigned", _UNSIGNED_HASH, postgresql_using="hash"),
    ForeignKeyConstraint(["chain_id", "pool_key"], ["gazetteer.pools.chain_id", "gazetteer.pools.pool_key"]),
)

hash_collisions = Table(
    "hash_collisions",
    metadata,
    Column("natural_key", Text, primary_key=True),
    Column("other_key", Text, nullable=False),
    Column("hash", BigInteger, nullable=False),
    moment("seen_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    *bytes_of("address", 20),
    Column("symbol", Text),
    Column("symbol_status", Text, nullable=False, server_default=text("'pending'")),
    Column("symbol_raw", LargeBinary),
    Column("name", Text),
    Column("name_status", Text, nullable=False, server_default=text("'pending'")),
    Column("name_raw", LargeBinary),
    Column("decimals", SmallInteger),
    Column("decimals_status", Text, nullable=False, server_default=text("'pending'")),
    Column("decimals_raw", LargeBinary),
    Column("provisional", Boolean, nullable=False, server_default=text("true")),
    Column("pin_number", BigInteger),
    *bytes_of("pin_hash", 32, nullable=True),
    moment("first_seen"),
    moment("resolved_at", nullable=True),
    PrimaryKeyConstraint("chain_id", "address"),
    *(
        CheckConstraint(
            f"{field}_status in ('ok', 'absent', 'malformed', 'no_code', 'pending')",
            name=f"{field}_status",
        )
        for field in ("symbol", "name", "decimals")
    ),
    CheckConstraint("decimals between 0 and 255", name="decimals"),
    CheckConstraint("length(symbol) <= 64 and length(name) <= 256", name="text_length"),
    Index("ix_tokens_hex", hex_of("address"), "chain_id", unique=True),
    # a famous symbol has hundreds of bearers: pairs by symbol are found without visiting them
    Index("ix_tokens_symbol", "symbol", "chain_id", "address", postgresql_include=["decimals"]),
    Index(None, "chain_id", "pin_number"),
    Index("ix_tokens_symbol_lower", text("lower(symbol)")),
)

# Which token of a pair is the quote: the one with the lower rank.
quote_ranks = Table(
    "quote_ranks",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    *bytes_of("address", 20),
    Column("rank", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("chain_id", "address"),
)

work = Table(
    "work",
    metadata,
    Column("kind", Text, nullable=False),  # token | pool | venue | slot
    Column("scope", Text, nullable=False),  # what throttles it: a chain's or venue's name; for slots 'beat'
    Column("key", LargeBinary, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    moment("due"),
    Column("lease_id", Uuid),
    moment("lease_until", nullable=True),
    Column("losses", SmallInteger, nullable=False, server_default=text("0")),
    Column("reason", Text),  # why it waits, or why it is dead
    Column("dead", Boolean, nullable=False, server_default=text("false")),
    moment("created_at"),
    PrimaryKeyConstraint("kind", "scope", "key"),
    CheckConstraint("(lease_id is null) = (lease_until is null)", name="lease"),
    Index(
        "ix_work_due",
        "kind",
        "scope",
        "lane",
        "due",
        postgresql_where=text("lease_id is null and not dead"),
    ),
    # keys that cost workers their leases are few, and are claimed alone
    Index(
        "ix_work_lost",
        "kind",
        "scope",
        postgresql_where=text("losses >= 2 and lease_id is null and not dead"),
    ),
    Index("ix_work_lease", "lease_until", postgresql_where=text("lease_id is not null")),
    Index("ix_work_dead", "kind", "scope", postgresql_where=text("dead")),
    postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.01},
)

events = Table(
    "events",
    metadata,
    # the writer's 64-bit transaction id, as a number that every client can keep and compare
    Column("tx", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("chain_id", BigInteger),
    Column("subject", LargeBinary),  # a pool's key, a token's address
    Column("block_number", BigInteger),
    Column("source", Text),  # head | history | resolve | rewind | venue
    moment("at"),
    Column("natural_key", Text),  # the instrument that a venue lists
    PrimaryKeyConstraint("tx", "id"),
    Index("ix_events_subject", hex_of("subject"), postgresql_using="hash"),
    Index("ix_events_natural_key", "natural_key", postgresql_where=text("natural_key is not null")),
)

rejected_logs = Table(
    "rejected_logs",
    metadata,
    Column("chain_id", BigInteger, nullable=False),
    *bytes_of("block_hash", 32),
    Column("log_index", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    *bytes_of("tx_hash", 32),
    *bytes_of("emitter", 20),
    Column("topics", LargeBinary, nullable=False),  # up to four words, one after the other
    Column("data", LargeBinary),  # cut to 4 KiB; NULL where it was a pool's row that another emitter ousted
    Column("reason", Text, nullable=False),
    moment("orphaned_at", nullable=True),
    moment("seen_at"),
    PrimaryKeyConstraint("chain_id", "block_hash", "log_index"),
    Index(None, "chain_id", "block_number"),
)
