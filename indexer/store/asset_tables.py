"""Tables of sameness besides the assets themselves: what was claimed, what contradicts, what became one."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, PrimaryKeyConstraint, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY

from indexer.store.columns import metadata, moment

_NOW = sql("valid_to is null")

# What lists of coins say of codes, as of their readings.
asset_claims = Table(
    "asset_claims",
    metadata,
    Column("source", Text, nullable=False),
    Column("venue", Text, nullable=False),  # whose code it is; '': an id of the source's own
    Column("code", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("label", Text),
    Column("name", Text),
    moment("valid_from"),
    moment("valid_to", nullable=True),
    moment("checked_at"),  # the last reading that said so
    PrimaryKeyConstraint("source", "venue", "code", "scheme", "value", "valid_from"),
    CheckConstraint("valid_from < valid_to", name="dates"),
    CheckConstraint("confidence between 0 and 1", name="confidence"),
    Index("uq_asset_claims_now", "source", "venue", "code", "scheme", "value", unique=True, postgresql_where=_NOW),
    postgresql_with={"fillfactor": 80},
)

# One name, several assets that contradict each other: it names none of them.
asset_conflicts = Table(
    "asset_conflicts",
    metadata,
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("asset_ids", ARRAY(BigInteger), nullable=False),
    moment("valid_from"),
    moment("valid_to", nullable=True),
    PrimaryKeyConstraint("scheme", "value", "valid_from"),
    CheckConstraint("valid_from < valid_to", name="dates"),
    Index("uq_asset_conflicts_now", "scheme", "value", unique=True, postgresql_where=_NOW),
)

# Assets that turned out to be one: whoever kept the old id finds the other.
asset_merges = Table(
    "asset_merges",
    metadata,
    Column("asset_id", BigInteger, ForeignKey("gazetteer.assets.asset_id"), primary_key=True, autoincrement=False),
    Column("into_id", BigInteger, ForeignKey("gazetteer.assets.asset_id"), nullable=False),
    moment("merged_at"),
)
