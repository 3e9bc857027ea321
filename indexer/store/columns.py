"""What every table of schema `gazetteer` is made with: one MetaData, and columns that are declared alike."""

from sqlalchemy import CheckConstraint, Column, DateTime, LargeBinary, MetaData, TextClause, text

SCHEMA = "gazetteer"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def hex_of(name: str) -> TextClause:
    """The text by which the views show a bytea, so that a comparison with that text finds the index."""
    return text(f"('0x' || encode({name}, 'hex'))")


def bytes_of(name: str, size: int, *, nullable: bool = False) -> tuple[Column[bytes], CheckConstraint]:
    """A bytea of exactly `size` bytes."""
    return (
        Column(name, LargeBinary, nullable=nullable),
        CheckConstraint(f"octet_length({name}) = {size}", name=f"{name}_length"),
    )


def moment(name: str, *, nullable: bool = False) -> Column[object]:
    """A point in time."""
    return Column(name, DateTime(timezone=True), nullable=nullable)
