"""The register: every table of schema `gazetteer`.

Revision 0001, the first.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
    CREATE TABLE gazetteer.chains (
        chain_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        genesis_hash BYTEA NOT NULL,
        block_time_ms INTEGER NOT NULL,
        native_symbol TEXT NOT NULL,
        enabled BOOLEAN NOT NULL,
        history_from BIGINT,
        history_consent BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_chains PRIMARY KEY (chain_id),
        CONSTRAINT ck_chains_genesis_hash_length CHECK (octet_length(genesis_hash) = 32),
        CONSTRAINT uq_chains_name UNIQUE (name)
    );

    CREATE TABLE gazetteer.checkpoints (
        chain_id BIGINT NOT NULL,
        number BIGINT NOT NULL,
        hash BYTEA NOT NULL,
        endpoint TEXT,
        CONSTRAINT pk_checkpoints PRIMARY KEY (chain_id, number),
        CONSTRAINT ck_checkpoints_hash_length CHECK (octet_length(hash) = 32)
    );

    CREATE TABLE gazetteer.events (
        tx BIGINT DEFAULT pg_current_xact_id()::text::bigint NOT NULL,
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        kind TEXT NOT NULL,
        chain_id BIGINT,
        subject BYTEA,
        block_number BIGINT,
        source TEXT,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_events PRIMARY KEY (tx, id)
    );
    CREATE INDEX ix_events_subject ON gazetteer.events USING hash (('0x' || encode(subject, 'hex')));

    CREATE TABLE gazetteer.hash_collisions (
        natural_key TEXT NOT NULL,
        other_key TEXT NOT NULL,
        hash BIGINT NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_hash_collisions PRIMARY KEY (natural_key)
    );

    CREATE TABLE gazetteer.meta (
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        CONSTRAINT pk_meta PRIMARY KEY (key)
    );

    CREATE TABLE gazetteer.quote_ranks (
        chain_id BIGINT NOT NULL,
        address BYTEA NOT NULL,
        rank INTEGER NOT NULL,
        kind TEXT NOT NULL,
        CONSTRAINT pk_quote_ranks PRIMARY KEY (chain_id, address),
        CONSTRAINT ck_quote_ranks_address_length CHECK (octet_length(address) = 20)
    );

    CREATE TABLE gazetteer.rejected_logs (
        chain_id BIGINT NOT NULL,
        block_hash BYTEA NOT NULL,
        log_index BIGINT NOT NULL,
        block_number BIGINT NOT NULL,
        tx_hash BYTEA NOT NULL,
        emitter BYTEA NOT NULL,
        topics BYTEA NOT NULL,
        data BYTEA,
        reason TEXT NOT NULL,
        orphaned_at TIMESTAMP WITH TIME ZONE,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_rejected_logs PRIMARY KEY (chain_id, block_hash, log_index),
        CONSTRAINT ck_rejected_logs_block_hash_length CHECK (octet_length(block_hash) = 32),
        CONSTRAINT ck_rejected_logs_tx_hash_length CHECK (octet_length(tx_hash) = 32),
        CONSTRAINT ck_rejected_logs_emitter_length CHECK (octet_length(emitter) = 20)
    );
    CREATE INDEX ix_rejected_logs_chain_id_block_number ON gazetteer.rejected_logs (chain_id, block_number);

    CREATE TABLE gazetteer.scans (
        lease_id UUID NOT NULL,
        chain_id BIGINT NOT NULL,
        first_block BIGINT NOT NULL,
        last_block BIGINT NOT NULL,
        emitters JSONB NOT NULL,
        lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_scans PRIMARY KEY (lease_id),
        CONSTRAINT ck_scans_range CHECK (first_block <= last_block)
    );
    CREATE INDEX ix_scans_chain_id_lease_until ON gazetteer.scans (chain_id, lease_until);

    CREATE TABLE gazetteer.tokens (
        chain_id BIGINT NOT NULL,
        address BYTEA NOT NULL,
        symbol TEXT,
        symbol_status TEXT DEFAULT 'pending' NOT NULL,
        symbol_raw BYTEA,
        name TEXT,
        name_status TEXT DEFAULT 'pending' NOT NULL,
        name_raw BYTEA,
        decimals SMALLINT,
        decimals_status TEXT DEFAULT 'pending' NOT NULL,
        decimals_raw BYTEA,
        provisional BOOLEAN DEFAULT true NOT NULL,
        pin_number BIGINT,
        pin_hash BYTEA,
        first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
        resolved_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_tokens PRIMARY KEY (chain_id, address),
        CONSTRAINT ck_tokens_address_length CHECK (octet_length(address) = 20),
        CONSTRAINT ck_tokens_pin_hash_length CHECK (octet_length(pin_hash) = 32),
        CONSTRAINT ck_tokens_symbol_status CHECK (symbol_status in ('ok', 'absent', 'malformed', 'no_code', 'pending')),
        CONSTRAINT ck_tokens_name_status CHECK (name_status in ('ok', 'absent', 'malformed', 'no_code', 'pending')),
        CONSTRAINT ck_tokens_decimals_status CHECK (decimals_status in ('ok', 'absent', 'malformed', 'no_code', 'pending')),
        CONSTRAINT ck_tokens_decimals CHECK (decimals between 0 and 255),
        CONSTRAINT ck_tokens_text_length CHECK (length(symbol) <= 64 and length(name) <= 256)
    );
    CREATE UNIQUE INDEX ix_tokens_hex ON gazetteer.tokens (('0x' || encode(address, 'hex')), chain_id);
    CREATE INDEX ix_tokens_symbol ON gazetteer.tokens (symbol, chain_id, address) INCLUDE (decimals);
    CREATE INDEX ix_tokens_chain_id_pin_number ON gazetteer.tokens (chain_id, pin_number);
    CREATE INDEX ix_tokens_symbol_lower ON gazetteer.tokens (lower(symbol));

    CREATE TABLE gazetteer.work (
        kind TEXT NOT NULL,
        scope TEXT NOT NULL,
        key BYTEA NOT NULL,
        lane SMALLINT NOT NULL,
        due TIMESTAMP WITH TIME ZONE NOT NULL,
        lease_id UUID,
        lease_until TIMESTAMP WITH TIME ZONE,
        losses SMALLINT DEFAULT 0 NOT NULL,
        reason TEXT,
        dead BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_work PRIMARY KEY (kind, scope, key),
        CONSTRAINT ck_work_lease CHECK ((lease_id is null) = (lease_until is null))
    )
     WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
    CREATE INDEX ix_work_dead ON gazetteer.work (kind, scope) WHERE dead;
    CREATE INDEX ix_work_due ON gazetteer.work (kind, scope, lane, due) WHERE lease_id is null and not dead;
    CREATE INDEX ix_work_lease ON gazetteer.work (lease_until) WHERE lease_id is not null;
    CREATE INDEX ix_work_lost ON gazetteer.work (kind, scope) WHERE losses >= 2 and lease_id is null and not dead;

    CREATE TABLE gazetteer.cursors (
        chain_id BIGINT NOT NULL,
        tip_number BIGINT NOT NULL,
        tip_hash BYTEA NOT NULL,
        anchor_number BIGINT NOT NULL,
        anchor_hash BYTEA NOT NULL,
        tip_at TIMESTAMP WITH TIME ZONE NOT NULL,
        tip_block_at TIMESTAMP WITH TIME ZONE,
        halted TEXT,
        rewinds BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_cursors PRIMARY KEY (chain_id),
        CONSTRAINT ck_cursors_tip_hash_length CHECK (octet_length(tip_hash) = 32),
        CONSTRAINT ck_cursors_anchor_hash_length CHECK (octet_length(anchor_hash) = 32),
        CONSTRAINT fk_cursors_chain_id_chains FOREIGN KEY(chain_id) REFERENCES gazetteer.chains (chain_id),
        CONSTRAINT ck_cursors_order CHECK (anchor_number <= tip_number)
    );

    CREATE TABLE gazetteer.factories (
        chain_id BIGINT NOT NULL,
        address BYTEA NOT NULL,
        dex TEXT NOT NULL,
        protocol TEXT NOT NULL,
        from_block BIGINT NOT NULL,
        from_block_quality TEXT NOT NULL,
        init_code_hash BYTEA,
        create2_deployer BYTEA,
        fee_ppm INTEGER,
        fee_kind TEXT NOT NULL,
        tier TEXT NOT NULL,
        confidence TEXT NOT NULL,
        source TEXT NOT NULL,
        enabled BOOLEAN NOT NULL,
        CONSTRAINT pk_factories PRIMARY KEY (chain_id, address),
        CONSTRAINT ck_factories_address_length CHECK (octet_length(address) = 20),
        CONSTRAINT ck_factories_init_code_hash_length CHECK (octet_length(init_code_hash) = 32),
        CONSTRAINT ck_factories_create2_deployer_length CHECK (octet_length(create2_deployer) = 20),
        CONSTRAINT fk_factories_chain_id_chains FOREIGN KEY(chain_id) REFERENCES gazetteer.chains (chain_id)
    );

    CREATE TABLE gazetteer.sightings (
        chain_id BIGINT NOT NULL,
        head_number BIGINT,
        head_block_at TIMESTAMP WITH TIME ZONE,
        safe_number BIGINT,
        finalized_number BIGINT,
        finalized_moved_at TIMESTAMP WITH TIME ZONE,
        endpoint TEXT,
        wakeups TEXT,
        note TEXT,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_sightings PRIMARY KEY (chain_id),
        CONSTRAINT fk_sightings_chain_id_chains FOREIGN KEY(chain_id) REFERENCES gazetteer.chains (chain_id)
    );

    CREATE TABLE gazetteer.coverage (
        chain_id BIGINT NOT NULL,
        address BYTEA NOT NULL,
        topic0 BYTEA NOT NULL,
        scanned INT8MULTIRANGE DEFAULT '{}' NOT NULL,
        audited INT8MULTIRANGE DEFAULT '{}' NOT NULL,
        listened_from BIGINT,
        CONSTRAINT pk_coverage PRIMARY KEY (chain_id, address, topic0),
        CONSTRAINT ck_coverage_address_length CHECK (octet_length(address) = 20),
        CONSTRAINT ck_coverage_topic0_length CHECK (octet_length(topic0) = 32),
        CONSTRAINT fk_coverage_chain_id_address_factories FOREIGN KEY(chain_id, address) REFERENCES gazetteer.factories (chain_id, address),
        CONSTRAINT ck_coverage_audited CHECK (scanned @> audited)
    );

    CREATE TABLE gazetteer.readings (
        chain_id BIGINT NOT NULL,
        endpoint TEXT NOT NULL,
        ranges INT8MULTIRANGE NOT NULL,
        CONSTRAINT pk_readings PRIMARY KEY (chain_id, endpoint),
        CONSTRAINT fk_readings_chain_id_chains FOREIGN KEY(chain_id) REFERENCES gazetteer.chains (chain_id)
    );

    CREATE TABLE gazetteer.endpoint_counts (
        chain_id BIGINT NOT NULL,
        endpoint TEXT NOT NULL,
        what TEXT NOT NULL,
        times BIGINT NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_endpoint_counts PRIMARY KEY (chain_id, endpoint, what),
        CONSTRAINT fk_endpoint_counts_chain_id_chains FOREIGN KEY(chain_id) REFERENCES gazetteer.chains (chain_id)
    );

    CREATE TABLE gazetteer.pools (
        chain_id BIGINT NOT NULL,
        pool_key BYTEA NOT NULL,
        emitter BYTEA NOT NULL,
        topic0 BYTEA NOT NULL,
        dex TEXT NOT NULL,
        protocol TEXT NOT NULL,
        token0 BYTEA NOT NULL,
        token1 BYTEA NOT NULL,
        fee_ppm INTEGER,
        fee_kind TEXT NOT NULL,
        tick_spacing INTEGER,
        bin_step INTEGER,
        stable BOOLEAN,
        hooks BYTEA,
        deployer BYTEA,
        pool_index BIGINT,
        proof TEXT NOT NULL,
        block_number BIGINT NOT NULL,
        block_hash BYTEA NOT NULL,
        tx_hash BYTEA NOT NULL,
        log_index INTEGER NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE,
        created_at_kind TEXT,
        first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
        source TEXT NOT NULL,
        orphaned_at TIMESTAMP WITH TIME ZONE,
        answered_block BIGINT,
        answered_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_pools PRIMARY KEY (chain_id, pool_key),
        CONSTRAINT ck_pools_emitter_length CHECK (octet_length(emitter) = 20),
        CONSTRAINT ck_pools_topic0_length CHECK (octet_length(topic0) = 32),
        CONSTRAINT ck_pools_token0_length CHECK (octet_length(token0) = 20),
        CONSTRAINT ck_pools_token1_length CHECK (octet_length(token1) = 20),
        CONSTRAINT ck_pools_hooks_length CHECK (octet_length(hooks) = 20),
        CONSTRAINT ck_pools_deployer_length CHECK (octet_length(deployer) = 20),
        CONSTRAINT ck_pools_block_hash_length CHECK (octet_length(block_hash) = 32),
        CONSTRAINT ck_pools_tx_hash_length CHECK (octet_length(tx_hash) = 32),
        CONSTRAINT fk_pools_chain_id_emitter_factories FOREIGN KEY(chain_id, emitter) REFERENCES gazetteer.factories (chain_id, address),
        CONSTRAINT ck_pools_pool_key_length CHECK (octet_length(pool_key) in (20, 32)),
        CONSTRAINT ck_pools_source CHECK (source in ('head', 'history')),
        CONSTRAINT ck_pools_proof CHECK (proof in ('create2', 'pool_key', 'log')),
        CONSTRAINT ck_pools_created_at_kind CHECK (created_at_kind in ('log', 'header', 'estimated')),
        CONSTRAINT ck_pools_created_at_both CHECK ((created_at is null) = (created_at_kind is null))
    );
    CREATE INDEX ix_pools_address ON gazetteer.pools USING hash ((case when octet_length(pool_key) = 20 then '0x' || encode(pool_key, 'hex') else null end));
    CREATE INDEX ix_pools_chain_id_block_number_log_index ON gazetteer.pools (chain_id, block_number, log_index);
    CREATE INDEX ix_pools_chain_id_created_at ON gazetteer.pools (chain_id, created_at);
    CREATE INDEX ix_pools_created_at ON gazetteer.pools (created_at);
    CREATE INDEX ix_pools_estimated ON gazetteer.pools (chain_id, block_number) WHERE created_at_kind = 'estimated';
    CREATE INDEX ix_pools_first_seen ON gazetteer.pools (first_seen) WHERE source = 'head';
    CREATE INDEX ix_pools_id ON gazetteer.pools USING hash (('0x' || encode(pool_key, 'hex')));
    CREATE INDEX ix_pools_orphaned_at ON gazetteer.pools (orphaned_at) WHERE orphaned_at is not null;
    CREATE INDEX ix_pools_token1 ON gazetteer.pools (('0x' || encode(token1, 'hex')));
    CREATE INDEX ix_pools_tokens ON gazetteer.pools (('0x' || encode(token0, 'hex')), ('0x' || encode(token1, 'hex')));

    CREATE TABLE gazetteer.instruments (
        natural_key TEXT NOT NULL,
        hash BIGINT NOT NULL,
        hash_salt SMALLINT DEFAULT 0 NOT NULL,
        venue TEXT NOT NULL,
        scope TEXT NOT NULL,
        asset_class TEXT NOT NULL,
        inst_class TEXT NOT NULL,
        chain_id BIGINT,
        pool_key BYTEA,
        first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_instruments PRIMARY KEY (natural_key),
        CONSTRAINT uq_instruments_hash UNIQUE (hash),
        CONSTRAINT uq_instruments_chain_id_pool_key UNIQUE (chain_id, pool_key),
        CONSTRAINT fk_instruments_chain_id_pool_key_pools FOREIGN KEY(chain_id, pool_key) REFERENCES gazetteer.pools (chain_id, pool_key)
    );
    CREATE INDEX ix_instruments_unsigned ON gazetteer.instruments USING hash (mod(hash::numeric + 18446744073709551616, 18446744073709551616));
"""


def upgrade() -> None:
    """Create the tables in an empty schema."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
