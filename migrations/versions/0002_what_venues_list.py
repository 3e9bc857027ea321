"""What venues list: runs, listings by date, rules, identifiers, assets.

Revision 0002 after 0001. Tables that hold rows are only widened: nothing is rewritten, and the one index over such a
table takes in none of its rows.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WIDER = """
    ALTER TABLE gazetteer.instruments ALTER asset_class DROP NOT NULL, ALTER inst_class DROP NOT NULL;
    ALTER TABLE gazetteer.events ADD natural_key TEXT;
    CREATE INDEX ix_events_natural_key ON gazetteer.events (natural_key) WHERE natural_key is not null;
"""

TABLES = """
    CREATE TABLE gazetteer.venues (
        name TEXT NOT NULL,
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        mic TEXT,
        licence TEXT NOT NULL,
        licence_note TEXT NOT NULL,
        every_s DOUBLE PRECISION NOT NULL,
        scopes TEXT[] NOT NULL,
        source TEXT NOT NULL,
        enabled BOOLEAN NOT NULL,
        CONSTRAINT pk_venues PRIMARY KEY (name),
        CONSTRAINT ck_venues_kind CHECK (kind in ('cex', 'broker', 'data')),
        CONSTRAINT ck_venues_licence CHECK (licence in ('public', 'personal', 'restricted'))
    );

    CREATE TABLE gazetteer.schemes (
        name TEXT NOT NULL,
        title TEXT NOT NULL,
        licence TEXT NOT NULL,
        licence_note TEXT NOT NULL,
        source TEXT NOT NULL,
        CONSTRAINT pk_schemes PRIMARY KEY (name),
        CONSTRAINT ck_schemes_licence CHECK (licence in ('public', 'personal', 'restricted'))
    );

    CREATE TABLE gazetteer.venue_tokens (
        venue TEXT NOT NULL,
        token BYTEA NOT NULL,
        kept_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_venue_tokens PRIMARY KEY (venue)
    );

    CREATE TABLE gazetteer.venue_scopes (
        venue TEXT NOT NULL,
        scope TEXT NOT NULL,
        run_id BIGINT,
        applied_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_venue_scopes PRIMARY KEY (venue, scope),
        CONSTRAINT fk_venue_scopes_venue_venues FOREIGN KEY(venue) REFERENCES gazetteer.venues (name)
    );

    CREATE TABLE gazetteer.venue_runs (
        run_id BIGINT GENERATED ALWAYS AS IDENTITY,
        venue TEXT NOT NULL,
        scope TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        status TEXT NOT NULL,
        error TEXT,
        reason TEXT,
        retry_at TIMESTAMP WITH TIME ZONE,
        client TEXT,
        pages INTEGER,
        evidence JSONB,
        rows INTEGER,
        unreadable INTEGER,
        duplicates INTEGER,
        "new" INTEGER,
        changed INTEGER,
        same INTEGER,
        missing INTEGER,
        delisted INTEGER,
        expired INTEGER,
        reborn INTEGER,
        rules INTEGER,
        archive TEXT,
        accepted BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_venue_runs PRIMARY KEY (run_id),
        CONSTRAINT ck_venue_runs_status CHECK (status in ('running', 'applied', 'suspect', 'failed', 'disabled')),
        CONSTRAINT ck_venue_runs_finished CHECK ((status = 'running') = (finished_at is null)),
        CONSTRAINT ck_venue_runs_error CHECK ((status in ('failed', 'disabled')) = (error is not null)),
        CONSTRAINT fk_venue_runs_venue_venues FOREIGN KEY(venue) REFERENCES gazetteer.venues (name)
    );
    CREATE INDEX ix_venue_runs_venue_scope_run_id ON gazetteer.venue_runs (venue, scope, run_id);

    CREATE TABLE gazetteer.listings (
        natural_key TEXT NOT NULL,
        venue TEXT NOT NULL,
        scope TEXT NOT NULL,
        stable_id TEXT NOT NULL,
        generation SMALLINT NOT NULL,
        latest BOOLEAN NOT NULL,
        birth TEXT,
        symbol TEXT NOT NULL,
        status TEXT NOT NULL,
        venue_status TEXT,
        display TEXT,
        base TEXT,
        quote TEXT,
        settle TEXT,
        currency TEXT,
        underlying TEXT,
        tracks TEXT,
        multiplier NUMERIC,
        payoff TEXT,
        expires_on DATE,
        expires_at TIMESTAMP WITH TIME ZONE,
        strike NUMERIC,
        option_right TEXT,
        exercise TEXT,
        settlement TEXT,
        adjusted BOOLEAN,
        mic TEXT,
        exchange TEXT,
        tradable BOOLEAN,
        list_at TIMESTAMP WITH TIME ZONE,
        delist_at TIMESTAMP WITH TIME ZONE,
        attrs JSONB,
        content_hash BYTEA NOT NULL,
        rules_hash BYTEA,
        details_hash BYTEA,
        first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        last_seen TIMESTAMP WITH TIME ZONE,
        missed SMALLINT DEFAULT 0 NOT NULL,
        missing_since TIMESTAMP WITH TIME ZONE,
        gone_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_listings PRIMARY KEY (natural_key),
        CONSTRAINT ck_listings_content_hash_length CHECK (octet_length(content_hash) = 16),
        CONSTRAINT ck_listings_rules_hash_length CHECK (octet_length(rules_hash) = 16),
        CONSTRAINT ck_listings_details_hash_length CHECK (octet_length(details_hash) = 16),
        CONSTRAINT ck_listings_status CHECK (status in ('pre_listing', 'active', 'halted', 'restricted', 'delisted', 'expired', 'unknown')),
        CONSTRAINT ck_listings_gone CHECK ((status in ('delisted', 'expired')) = (gone_at is not null)),
        CONSTRAINT ck_listings_option_right CHECK (option_right in ('call', 'put')),
        CONSTRAINT fk_listings_natural_key_instruments FOREIGN KEY(natural_key) REFERENCES gazetteer.instruments (natural_key)
    ) WITH (fillfactor = 80);
    CREATE INDEX ix_listings_delist_at ON gazetteer.listings (delist_at) WHERE delist_at is not null;
    CREATE INDEX ix_listings_list_at ON gazetteer.listings (list_at) WHERE list_at is not null;
    CREATE INDEX ix_listings_stable_id ON gazetteer.listings (stable_id);
    CREATE INDEX ix_listings_symbol ON gazetteer.listings (symbol);
    CREATE INDEX ix_listings_underlying ON gazetteer.listings (underlying, expires_on, strike) WHERE underlying is not null;
    CREATE INDEX ix_listings_venue_base ON gazetteer.listings (venue, base);
    CREATE UNIQUE INDEX uq_listings_latest ON gazetteer.listings (venue, scope, stable_id) WHERE latest;

    CREATE TABLE gazetteer.listing_versions (
        natural_key TEXT NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        run_id BIGINT NOT NULL,
        changed TEXT[] NOT NULL,
        state JSONB NOT NULL,
        CONSTRAINT pk_listing_versions PRIMARY KEY (natural_key, valid_from),
        CONSTRAINT ck_listing_versions_dates CHECK (valid_from < valid_to),
        CONSTRAINT fk_listing_versions_natural_key_listings FOREIGN KEY(natural_key) REFERENCES gazetteer.listings (natural_key)
    );
    CREATE INDEX ix_listing_versions_run_id ON gazetteer.listing_versions (run_id);
    CREATE INDEX ix_listing_versions_valid_from ON gazetteer.listing_versions (valid_from);
    CREATE UNIQUE INDEX uq_listing_versions_now ON gazetteer.listing_versions (natural_key) WHERE valid_to is null;

    CREATE TABLE gazetteer.trading_rules (
        natural_key TEXT NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        run_id BIGINT NOT NULL,
        tick_size NUMERIC,
        lot_size NUMERIC,
        min_size NUMERIC,
        max_size NUMERIC,
        min_notional NUMERIC,
        max_notional NUMERIC,
        more JSONB,
        CONSTRAINT pk_trading_rules PRIMARY KEY (natural_key, valid_from),
        CONSTRAINT ck_trading_rules_dates CHECK (valid_from < valid_to),
        CONSTRAINT fk_trading_rules_natural_key_listings FOREIGN KEY(natural_key) REFERENCES gazetteer.listings (natural_key)
    );
    CREATE UNIQUE INDEX uq_trading_rules_now ON gazetteer.trading_rules (natural_key) WHERE valid_to is null;

    CREATE TABLE gazetteer.identifiers (
        natural_key TEXT NOT NULL,
        scheme TEXT NOT NULL,
        value TEXT NOT NULL,
        source TEXT NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_identifiers PRIMARY KEY (natural_key, scheme, value, source, valid_from),
        CONSTRAINT ck_identifiers_dates CHECK (valid_from < valid_to),
        CONSTRAINT fk_identifiers_natural_key_listings FOREIGN KEY(natural_key) REFERENCES gazetteer.listings (natural_key)
    );
    CREATE INDEX ix_identifiers_value_scheme ON gazetteer.identifiers (value, scheme);
    CREATE UNIQUE INDEX uq_identifiers_now ON gazetteer.identifiers (natural_key, scheme, value, source) WHERE valid_to is null;

    CREATE TABLE gazetteer.details (
        natural_key TEXT NOT NULL,
        company_name TEXT,
        sector TEXT,
        industry TEXT,
        market_cap NUMERIC,
        market_cap_currency TEXT,
        source TEXT NOT NULL,
        read_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_details PRIMARY KEY (natural_key),
        CONSTRAINT fk_details_natural_key_listings FOREIGN KEY(natural_key) REFERENCES gazetteer.listings (natural_key)
    ) WITH (fillfactor = 80);

    CREATE TABLE gazetteer.assets (
        asset_id BIGINT GENERATED ALWAYS AS IDENTITY,
        kind TEXT NOT NULL,
        code TEXT NOT NULL,
        name TEXT,
        tracks_id BIGINT,
        multiple NUMERIC,
        first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_assets PRIMARY KEY (asset_id),
        CONSTRAINT ck_assets_tracks CHECK (tracks_id <> asset_id),
        CONSTRAINT fk_assets_tracks_id_assets FOREIGN KEY(tracks_id) REFERENCES gazetteer.assets (asset_id)
    );
    CREATE INDEX ix_assets_code ON gazetteer.assets (code);

    CREATE TABLE gazetteer.asset_identifiers (
        asset_id BIGINT NOT NULL,
        scheme TEXT NOT NULL,
        value TEXT NOT NULL,
        source TEXT NOT NULL,
        confidence DOUBLE PRECISION NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_asset_identifiers PRIMARY KEY (scheme, value, valid_from),
        CONSTRAINT ck_asset_identifiers_confidence CHECK (confidence between 0 and 1),
        CONSTRAINT ck_asset_identifiers_dates CHECK (valid_from < valid_to),
        CONSTRAINT fk_asset_identifiers_asset_id_assets FOREIGN KEY(asset_id) REFERENCES gazetteer.assets (asset_id)
    );
    CREATE INDEX ix_asset_identifiers_asset_id ON gazetteer.asset_identifiers (asset_id);
    CREATE UNIQUE INDEX uq_asset_identifiers_now ON gazetteer.asset_identifiers (scheme, value) WHERE valid_to is null;

    CREATE TABLE gazetteer.venue_assets (
        venue TEXT NOT NULL,
        code TEXT NOT NULL,
        asset_id BIGINT NOT NULL,
        method TEXT NOT NULL,
        source TEXT NOT NULL,
        confidence DOUBLE PRECISION NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_venue_assets PRIMARY KEY (venue, code, valid_from),
        CONSTRAINT ck_venue_assets_confidence CHECK (confidence between 0 and 1),
        CONSTRAINT ck_venue_assets_dates CHECK (valid_from < valid_to),
        CONSTRAINT fk_venue_assets_venue_venues FOREIGN KEY(venue) REFERENCES gazetteer.venues (name),
        CONSTRAINT fk_venue_assets_asset_id_assets FOREIGN KEY(asset_id) REFERENCES gazetteer.assets (asset_id)
    );
    CREATE INDEX ix_venue_assets_asset_id ON gazetteer.venue_assets (asset_id);
    CREATE UNIQUE INDEX uq_venue_assets_now ON gazetteer.venue_assets (venue, code) WHERE valid_to is null;
"""


def upgrade() -> None:
    """Add the tables, then widen those that others use."""
    for statement in f"{TABLES}{WIDER}".split(";\n"):
        if statement.strip():
            op.execute(statement)
