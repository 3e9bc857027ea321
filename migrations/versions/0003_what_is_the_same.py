"""What is the same: claims of coin lists, contradictions, assets that became one.

Revision 0003 after 0002. Nothing but new tables.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
    CREATE TABLE gazetteer.asset_claims (
        source TEXT NOT NULL,
        venue TEXT NOT NULL,
        code TEXT NOT NULL,
        scheme TEXT NOT NULL,
        value TEXT NOT NULL,
        confidence DOUBLE PRECISION NOT NULL,
        label TEXT,
        name TEXT,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_asset_claims PRIMARY KEY (source, venue, code, scheme, value, valid_from),
        CONSTRAINT ck_asset_claims_dates CHECK (valid_from < valid_to),
        CONSTRAINT ck_asset_claims_confidence CHECK (confidence between 0 and 1)
    ) WITH (fillfactor = 80);
    CREATE UNIQUE INDEX uq_asset_claims_now ON gazetteer.asset_claims (source, venue, code, scheme, value) WHERE valid_to is null;

    CREATE TABLE gazetteer.asset_conflicts (
        scheme TEXT NOT NULL,
        value TEXT NOT NULL,
        asset_ids BIGINT[] NOT NULL,
        valid_from TIMESTAMP WITH TIME ZONE NOT NULL,
        valid_to TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_asset_conflicts PRIMARY KEY (scheme, value, valid_from),
        CONSTRAINT ck_asset_conflicts_dates CHECK (valid_from < valid_to)
    );
    CREATE UNIQUE INDEX uq_asset_conflicts_now ON gazetteer.asset_conflicts (scheme, value) WHERE valid_to is null;

    CREATE TABLE gazetteer.asset_merges (
        asset_id BIGINT NOT NULL,
        into_id BIGINT NOT NULL,
        merged_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_asset_merges PRIMARY KEY (asset_id),
        CONSTRAINT fk_asset_merges_asset_id_assets FOREIGN KEY(asset_id) REFERENCES gazetteer.assets (asset_id),
        CONSTRAINT fk_asset_merges_into_id_assets FOREIGN KEY(into_id) REFERENCES gazetteer.assets (asset_id)
    );
"""


def upgrade() -> None:
    """Add the tables."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
