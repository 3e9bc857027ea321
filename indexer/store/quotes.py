"""Which token of a pair the other one is quoted in, as the public views read it."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import text

from indexer.model import Address, ChainId
from indexer.store import Tx


class QuoteFacts(Protocol):
    """What is remembered of a token that others are quoted in; of two the one of lower `rank` is the quote."""

    @property
    def chain_id(self) -> ChainId: ...  # noqa: D102 - facts, named in the field's own terms
    @property
    def address(self) -> Address: ...  # noqa: D102
    @property
    def rank(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102


_GONE = text("""
    delete from gazetteer.quote_ranks
    where (chain_id, address) not in (
        select * from unnest(cast(:chain_ids as bigint[]), cast(:addresses as bytea[])))
""")

# Several processes load at their start; rows that stay the same are not written again.
_WRITE = text("""
    insert into gazetteer.quote_ranks as q (chain_id, address, rank, kind)
    select * from unnest(cast(:chain_ids as bigint[]), cast(:addresses as bytea[]),
                         cast(:ranks as integer[]), cast(:kinds as text[]))
    on conflict (chain_id, address) do update set rank = excluded.rank, kind = excluded.kind
        where (q.rank, q.kind) is distinct from (excluded.rank, excluded.kind)
""")


def load(tx: Tx, quotes: Sequence[QuoteFacts]) -> None:
    """Make the list say exactly `quotes`; every pair's base and quote in `api` follow at once."""
    ordered = sorted(quotes, key=lambda quote: (quote.chain_id, quote.address))
    keys: dict[str, object] = {
        "chain_ids": [quote.chain_id for quote in ordered],
        "addresses": [quote.address for quote in ordered],
    }
    tx.execute(_GONE, keys)
    tx.execute(
        _WRITE,
        keys | {"ranks": [quote.rank for quote in ordered], "kinds": [quote.kind for quote in ordered]},
    )
