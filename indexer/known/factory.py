"""Factories: the facts of `factories.toml`, and of rows of the same shape in gazetteer.toml."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from indexer.dex import BY_NAME
from indexer.known.chain import Chain
from indexer.known.rows import Row
from indexer.model import Address, ChainId, Factory, FeeKind, Hash32, hash32

MOST_FEE_PPM = 1_000_000
QUALITIES = ("published", "lower_bound", "unknown", "configured")
TIERS = ("core", "long_tail", "own")
CONFIDENCES = ("high", "medium", "low")
_KEYS = frozenset(
    {
        "chain",
        "dex",
        "protocol",
        "address",
        "from_block",
        "from_block_quality",
        "topics",
        "enabled",
        "init_code_hash",
        "create2_deployer",
        "fee_ppm",
        "fee_kind",
        "tier",
        "confidence",
        "source",
    },
)


def parse_factories(
    rows: Sequence[Mapping[str, Any]],
    source: str,
    chains: Sequence[Chain],
) -> tuple[Factory, ...]:
    """Factories from rows of `[[factory]]`, whose `chain` is the name of one of `chains`.

    Raises BadSetting naming `source`, row, key and remedy.
    """
    ids = {chain.name: chain.id for chain in chains}
    factories: dict[tuple[ChainId, Address], Factory] = {}
    for number, values in enumerate(rows, 1):
        row = Row(source=source, table="factory", number=number, values=values)
        factory = _factory(row, ids)
        key = factory.chain_id, factory.address
        if key in factories:
            row.wrong("address", "stands in another row of this chain too", "keep one row a factory")
        factories[key] = factory
    return tuple(factories.values())


def _factory(row: Row, chain_ids: Mapping[str, ChainId]) -> Factory:
    row.only(_KEYS)
    chain = row.choice("chain", tuple(sorted(chain_ids)))
    protocol = row.choice("protocol", tuple(sorted(BY_NAME)))
    fee_kind, fee_ppm = _fee(row)
    return Factory(
        chain_id=chain_ids[chain],
        address=row.address("address"),
        dex=row.name("dex"),
        protocol=protocol,
        from_block=row.integer("from_block", 0),
        from_block_quality=row.choice(
            "from_block_quality", QUALITIES, "configured" if "from_block" in row.values else "unknown"
        ),
        topics=_topics(row, protocol),
        enabled=row.flag("enabled", default=True),
        init_code_hash=row.optional("init_code_hash", row.hash),
        create2_deployer=row.optional("create2_deployer", row.address),
        fee_ppm=fee_ppm,
        fee_kind=fee_kind,
        tier=row.choice("tier", TIERS, "own"),
        confidence=row.choice("confidence", CONFIDENCES, "high"),
        source=row.text("source", row.source),
    )


def _fee(row: Row) -> tuple[FeeKind, int | None]:
    kind = cast("FeeKind", row.choice("fee_kind", get_args(FeeKind), "unknown"))
    ppm = row.integer("fee_ppm", most=MOST_FEE_PPM) if "fee_ppm" in row.values else None
    if ppm is not None and kind in ("dynamic", "unknown"):
        row.wrong(
            "fee_ppm", f"= {ppm} contradicts fee_kind = {kind!r}", "remove it, or write fee_kind fixed or mutable"
        )
    return kind, ppm


def _topics(row: Row, protocol: str) -> tuple[Hash32, ...]:
    """The topics that the row names, or all of its protocol's."""
    known = BY_NAME[protocol].decoders
    if "topics" not in row.values:
        return tuple(sorted(known))
    texts = row.texts("topics")
    by_text = {f"0x{topic.hex()}": topic for topic in known}
    for text in texts:
        if text.lower() not in by_text:
            row.wrong("topics", f"has {text!r}, which {protocol} cannot read", f"use {', '.join(sorted(by_text))}")
    if not texts:
        row.wrong("topics", "is empty", "remove it, or write enabled = false")
    return tuple(sorted({hash32(text) for text in texts}))
