"""A token as it describes itself. It may lie, and it may not answer."""

from dataclasses import dataclass
from typing import Literal

from indexer.model.chain import Address, BlockRef, ChainId

NATIVE = Address(bytes(20))
"""The chain's own currency, as Uniswap V4 writes it and as the other side of every Uniswap V1 exchange."""

FieldStatus = Literal["ok", "absent", "malformed", "no_code", "pending"]
"""ok: it answered. absent: it answered that it has none (revert or nothing). malformed: it answered with bytes
that are no such value. no_code: there is no contract. pending: not yet asked. A failing node is none of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One metadata field: its cleaned value, its status, and the bytes that were returned (cut to 4 KiB)."""

    status: FieldStatus
    text: str | None = None
    number: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Metadata read at `pin`. `provisional`: holds a negative that was not yet asked again alone at a final block."""

    chain_id: ChainId
    address: Address
    symbol: Field
    name: Field
    decimals: Field
    pin: BlockRef
    provisional: bool
