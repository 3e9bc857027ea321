"""Chains: the facts of `chains.toml`, and of rows of the same shape in gazetteer.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.known.rows import Row
from indexer.model import Address, ChainId, Hash32

MOST_DECIMALS = 255
MOST_SYMBOL = 64
_SCHEMES = ("https://", "http://", "wss://", "ws://")
_KEYS = frozenset(
    {
        "id",
        "name",
        "genesis_hash",
        "block_time_s",
        "poll_s",
        "finality_depth",
        "native_symbol",
        "native_name",
        "native_decimals",
        "multicall3",
        "uniswap_multicall",
        "endpoints",
        "source",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One chain. `finality_depth` (blocks) counts only where an endpoint does not know the tag `finalized`.

    `block_time_s` is what it takes now, `poll_s` how long a follower waits without a wake-up. `multicall3` and
    `uniswap_multicall` are None where there is none. `endpoints` are public https and wss URLs without a key.
    """

    id: ChainId
    name: str
    genesis_hash: Hash32
    block_time_s: float
    poll_s: float
    finality_depth: int
    native_symbol: str
    native_name: str
    native_decimals: int
    multicall3: Address | None = None
    uniswap_multicall: Address | None = None
    endpoints: tuple[str, ...] = ()
    source: str = ""


def parse_chains(rows: Sequence[Mapping[str, Any]], source: str) -> tuple[Chain, ...]:
    """Chains from rows of `[[chain]]`. Raises BadSetting naming `source`, row, key and remedy."""
    chains: list[Chain] = []
    for number, values in enumerate(rows, 1):
        row = Row(source=source, table="chain", number=number, values=values)
        chain = _chain(row)
        if any(other.id == chain.id for other in chains):
            row.wrong("id", f"= {chain.id} stands in another row too", "keep one row a chain")
        if any(other.name == chain.name for other in chains):
            row.wrong("name", f"= {chain.name!r} stands in another row too", "give each chain its own name")
        chains.append(chain)
    return tuple(chains)


def _chain(row: Row) -> Chain:
    row.only(_KEYS)
    return Chain(
        id=ChainId(row.integer("id", least=1)),
        name=row.name("name"),
        genesis_hash=row.hash("genesis_hash"),
        block_time_s=row.seconds("block_time_s"),
        poll_s=row.seconds("poll_s"),
        finality_depth=row.integer("finality_depth"),
        native_symbol=_label(row, "native_symbol"),
        native_name=_label(row, "native_name"),
        native_decimals=row.integer("native_decimals", 18, most=MOST_DECIMALS),
        multicall3=row.optional("multicall3", row.address),
        uniswap_multicall=row.optional("uniswap_multicall", row.address),
        endpoints=_endpoints(row),
        source=row.text("source", row.source),
    )


def _label(row: Row, key: str) -> str:
    value = row.text(key)
    if not value.strip() or len(value) > MOST_SYMBOL or not value.isprintable():
        row.wrong(key, f"= {value!r} is no label", f"write 1 to {MOST_SYMBOL} printable characters")
    return value


def _endpoints(row: Row) -> tuple[str, ...]:
    urls = row.texts("endpoints")
    for at, url in enumerate(urls, 1):
        if not url.startswith(_SCHEMES):  # the URL may hold a key, so its place is named, not its text
            row.wrong("endpoints", f"has no URL in place {at}", f"start it with one of {', '.join(_SCHEMES)}")
    return urls
