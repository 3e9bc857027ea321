"""Tables of what venues list: runs, listings and their versions, rules, identifiers, and what is the same asset.

Whatever changes with time is kept as rows of one key that follow each other: `valid_to` of one is `valid_from` of the
next, the one without `valid_to` is valid now. Numbers that venues state are numeric, exactly as stated.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from indexer.model import GONE
from indexer.store.columns import bytes_of, metadata, moment

DIGEST_BYTES = 16

_GONE = ", ".join(f"'{status}'" for status in GONE)
_STATUS = f"status in ('pre_listing', 'active', 'halted', 'restricted', {_GONE}, 'unknown')"
_NOW = text("valid_to is null")
_UPDATED = {"fillfactor": 80}  # rows that runs write again, within their page


def _instrument(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "natural_key", Text, ForeignKey("gazetteer.listings.natural_key"), primary_key=primary_key, nullable=False
    )


def _dated() -> tuple[Column[object], Column[object], CheckConstraint]:
    return (
        moment("valid_from"),
        moment("valid_to", nullable=True),
        CheckConstraint("valid_from < valid_to", name="dates"),
    )


def _confidence() -> tuple[Column[float], CheckConstraint]:
    return (
        Column("confidence", Double, nullable=False),
        CheckConstraint("confidence between 0 and 1", name="confidence"),
    )


venues = Table(
    "venues",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("mic", Text),
    Column("licence", Text, nullable=False),
    Column("licence_note", Text, nullable=False),
    Column("every_s", Double, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("source", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    CheckConstraint("kind in ('cex', 'broker', 'data')", name="kind"),
    CheckConstraint("licence in ('public', 'personal', 'restricted')", name="licence"),
)

schemes = Table(
    "schemes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("licence", Text, nullable=False),
    Column("licence_note", Text, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint("licence in ('public', 'personal', 'restricted')", name="licence"),
)

# The login that a venue's file keeps, whole and opaque.
venue_tokens = Table(
    "venue_tokens",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    moment("kept_at"),
)

# The run that a scope's listings are as of; its row is held while another is applied.
venue_scopes = Table(
    "venue_scopes",
    metadata,
    Column("venue", Text, ForeignKey("gazetteer.venues.name"), nullable=False),
    Column("scope", Text, nullable=False),
    Column("run_id", BigInteger),  # NULL: none was applied yet
    moment("applied_at", nullable=True),
    PrimaryKeyConstraint("venue", "scope"),
)

venue_runs = Table(
    "venue_runs",
    metadata,
    Column("run_id", BigInteger, Identity(always=True), primary_key=True),
    Column("venue", Text, ForeignKey("gazetteer.venues.name"), nullable=False),
    Column("scope", Text, nullable=False),
    moment("started_at"),
    moment("finished_at", nullable=True),
    Column("status", Text, nullable=False),
    Column("error", Text),  # one word of the class: transient, rate_limited, banned, geo_blocked, auth, ...
    Column("reason", Text),  # one sentence for people
    moment("retry_at", nullable=True),
    Column("client", Text),
    Column("pages", Integer),
    Column("evidence", JSONB),
    Column("rows", Integer),
    Column("unreadable", Integer),
    Column("duplicates", Integer),
    Column("new", Integer),
    Column("changed", Integer),
    Column("same", Integer),
    Column("missing", Integer),
    Column("delisted", Integer),
    Column("expired", Integer),
    Column("reborn", Integer),
    Column("rules", Integer),
    Column("archive", Text),  # where the raw rows lie
    Column("accepted", Boolean, nullable=False, server_default=text("false")),  # a person let a suspect list pass
    CheckConstraint("status in ('running', 'applied', 'suspect', 'failed', 'disabled')", name="status"),
    CheckConstraint("(status = 'running') = (finished_at is null)", name="finished"),
    CheckConstraint("(status in ('failed', 'disabled')) = (error is not null)", name="error"),
    Index(None, "venue", "scope", "run_id"),
)

# What is listed, as of now; identity stands in `instruments`.
listings = Table(
    "listings",
    metadata,
    Column("natural_key", Text, ForeignKey("gazetteer.instruments.natural_key"), primary_key=True),
    Column("venue", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("stable_id", Text, nullable=False),
    Column("generation", SmallInteger, nullable=False),
    Column("latest", Boolean, nullable=False),  # the last bearer of its stable_id
    Column("birth", Text),  # the last that was told
    Column("symbol", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("venue_status", Text),
    Column("display", Text),
    Column("base", Text),
    Column("quote", Text),
    Column("settle", Text),
    Column("currency", Text),
    Column("underlying", Text),
    Column("tracks", Text),
    Column("multiplier", Numeric),
    Column("payoff", Text),
    Column("expires_on", Date),
    moment("expires_at", nullable=True),
    Column("strike", Numeric),
    Column("option_right", Text),
    Column("exercise", Text),
    Column("settlement", Text),
    Column("adjusted", Boolean),
    Column("mic", Text),
    Column("exchange", Text),
    Column("tradable", Boolean),
    moment("list_at", nullable=True),
    moment("delist_at", nullable=True),
    Column("attrs", JSONB),
    *bytes_of("content_hash", DIGEST_BYTES),  # of the identity, as it was told
    *bytes_of("rules_hash", DIGEST_BYTES, nullable=True),
    *bytes_of("details_hash", DIGEST_BYTES, nullable=True),
    moment("first_seen"),
    moment("changed_at"),
    moment("last_seen", nullable=True),  # NULL: in the last list that was applied
    Column("missed", SmallInteger, nullable=False, server_default=text("0")),
    moment("missing_since", nullable=True),
    moment("gone_at", nullable=True),
    CheckConstraint(_STATUS, name="status"),
    CheckConstraint(f"(status in ({_GONE})) = (gone_at is not null)", name="gone"),
    CheckConstraint("option_right in ('call', 'put')", name="option_right"),
    Index("uq_listings_latest", "venue", "scope", "stable_id", unique=True, postgresql_where=text("latest")),
    Index(None, "symbol"),
    Index(None, "stable_id"),
    Index(None, "venue", "base"),
    Index(
        "ix_listings_underlying",
        "underlying",
        "expires_on",
        "strike",
        postgresql_where=text("underlying is not null"),
    ),
    Index("ix_listings_list_at", "list_at", postgresql_where=text("list_at is not null")),
    Index("ix_listings_delist_at", "delist_at", postgresql_where=text("delist_at is not null")),
    postgresql_with=_UPDATED,
)

# Identity by date: everything of a listing but its rules and details, without what is unknown.
listing_versions = Table(
    "listing_versions",
    metadata,
    _instrument(),
    *_dated(),
    Column("run_id", BigInteger, nullable=False),
    Column("changed", ARRAY(Text), nullable=False),  # fields that differ from the version before; {}: the first
    Column("state", JSONB, nullable=False),
    PrimaryKeyConstraint("natural_key", "valid_from"),
    Index("uq_listing_versions_now", "natural_key", unique=True, postgresql_where=_NOW),
    Index(None, "valid_from"),
    Index(None, "run_id"),
)

trading_rules = Table(
    "trading_rules",
    metadata,
    _instrument(),
    *_dated(),
    Column("run_id", BigInteger, nullable=False),
    Column("tick_size", Numeric),
    Column("lot_size", Numeric),
    Column("min_size", Numeric),
    Column("max_size", Numeric),
    Column("min_notional", Numeric),
    Column("max_notional", Numeric),
    Column("more", JSONB),
    PrimaryKeyConstraint("natural_key", "valid_from"),
    Index("uq_trading_rules_now", "natural_key", unique=True, postgresql_where=_NOW),
)

identifiers = Table(
    "identifiers",
    metadata,
    _instrument(),
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("source", Text, nullable=False),  # who says so: the venue, or another
    *_dated(),
    PrimaryKeyConstraint("natural_key", "scheme", "value", "source", "valid_from"),
    Index("uq_identifiers_now", "natural_key", "scheme", "value", "source", unique=True, postgresql_where=_NOW),
    Index(None, "value", "scheme"),
)

# What is said of an issuer, as of the last reading.
details = Table(
    "details",
    metadata,
    _instrument(primary_key=True),
    Column("company_name", Text),
    Column("sector", Text),
    Column("industry", Text),
    Column("market_cap", Numeric),
    Column("market_cap_currency", Text),
    Column("source", Text, nullable=False),
    moment("read_at"),
    postgresql_with=_UPDATED,
)

assets = Table(
    "assets",
    metadata,
    Column("asset_id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),  # fiat, coin, token, equity, etf, index, commodity, ...
    Column("code", Text, nullable=False),  # for people; never an identity
    Column("name", Text),
    # a tokenised share is not the share: it follows `multiple` of it
    Column("tracks_id", BigInteger, ForeignKey("gazetteer.assets.asset_id")),
    Column("multiple", Numeric),
    moment("first_seen"),
    CheckConstraint("tracks_id <> asset_id", name="tracks"),
    Index(None, "code"),
)

asset_identifiers = Table(
    "asset_identifiers",
    metadata,
    Column("asset_id", BigInteger, ForeignKey("gazetteer.assets.asset_id"), nullable=False),
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("source", Text, nullable=False),
    *_confidence(),
    *_dated(),
    PrimaryKeyConstraint("scheme", "value", "valid_from"),
    Index("uq_asset_identifiers_now", "scheme", "value", unique=True, postgresql_where=_NOW),
    Index(None, "asset_id"),
)

# What a venue's code meant, and when: LUNA was not always LUNA.
venue_assets = Table(
    "venue_assets",
    metadata,
    Column("venue", Text, ForeignKey("gazetteer.venues.name"), nullable=False),
    Column("code", Text, nullable=False),
    Column("asset_id", BigInteger, ForeignKey("gazetteer.assets.asset_id"), nullable=False),
    Column("method", Text, nullable=False),  # how it is known: caip19, isin, figi_share, issuer, coingecko, ...
    Column("source", Text, nullable=False),
    *_confidence(),
    *_dated(),
    PrimaryKeyConstraint("venue", "code", "valid_from"),
    Index("uq_venue_assets_now", "venue", "code", unique=True, postgresql_where=_NOW),
    Index(None, "asset_id"),
)
