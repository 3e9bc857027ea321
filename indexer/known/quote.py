"""Which token of a pair is the one that prices are told in: the facts of `quotes.toml`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.known.chain import Chain
from indexer.known.rows import Row
from indexer.model import Address, ChainId

_CLASSES = ("stable", "native", "btc")
_KEYS = frozenset({"chain", "class", "symbol", "address"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One token that others are quoted in. Of two tokens the one of lower `rank` is the quote; rest: no rank.

    `kind` is `stable`, `native` (the currency and its wrapper) or `btc`.
    """

    chain_id: ChainId
    address: Address
    symbol: str
    kind: str
    rank: int


def parse_quotes(rows: Sequence[Mapping[str, Any]], source: str, chains: Sequence[Chain]) -> tuple[Quote, ...]:
    """Quotes from rows of `[[quote]]`: stable before native before btc, in each class in the order of the rows.

    Raises BadSetting naming `source`, row, key and remedy.
    """
    ids = {chain.name: chain.id for chain in chains}
    read = [Row(source=source, table="quote", number=number, values=values) for number, values in enumerate(rows, 1)]
    seen: set[tuple[ChainId, Address]] = set()
    for row in read:
        row.only(_KEYS)
        key = ids[row.choice("chain", tuple(sorted(ids)))], row.address("address")
        if key in seen:
            row.wrong("address", "stands in another row of this chain too", "keep one row a token")
        seen.add(key)
    ordered = sorted(read, key=lambda row: _CLASSES.index(row.choice("class", _CLASSES)))
    return tuple(
        Quote(
            chain_id=ids[row.text("chain")],
            address=row.address("address"),
            symbol=row.text("symbol"),
            kind=row.text("class"),
            rank=rank,
        )
        for rank, row in enumerate(ordered, 1)
    )
