"""What is known of assets without anybody's list: coins and quote tokens of chains, codes of currencies and coins.

A chain's currency and the token that wraps it are two assets, and so is a token on two chains: who takes one for the
other trusts a contract. Nobody's row says otherwise.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from indexer import known
from indexer.known import Chain, Quote
from indexer.model import NATIVE
from indexer.model.asset import Claim

SOURCE = "known"
BY_HAND = 0.95
"""How sure it is what somebody wrote down of a venue's code, where the venue itself does not publish it."""
COIN_TYPES = {"ETH": 60, "POL": 966}
"""SLIP-44 of the chains' own currencies, as CAIP-19 names them."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""Codes of ISO 4217 do not change hands."""
CODE_LETTERS = 3


@cache
def claims() -> tuple[Claim, ...]:
    """All of it. The codes of a venue that lists nothing are left to the reader."""
    return (*_quotes(known.chains(), known.quote_rank()), *_codes(), *_currencies())


@cache
def currencies() -> tuple[str, ...]:
    """Every code of ISO 4217 that some venue is known to trade."""
    return tuple(sorted({code for row in known.venues() for code in _fiat(row.options) if len(code) == CODE_LETTERS}))


def currency(code: str, venue: str, source: str = SOURCE) -> Claim:
    """A venue's code of a currency."""
    return _currency(venue, code, code, source)


def _quotes(chains: Sequence[Chain], quotes: Sequence[Quote]) -> list[Claim]:
    by_id = {chain.id: chain for chain in chains}
    found = []
    for quote in quotes:
        asset = _caip19(by_id[quote.chain_id], quote)
        if asset is not None:
            found.append(
                Claim(
                    source=SOURCE,
                    code=asset,
                    scheme="caip19",
                    value=asset,
                    confidence=1.0,
                    label=quote.symbol,
                    since=ALWAYS,
                    checked=ALWAYS,
                )
            )
    return found


def _caip19(chain: Chain, quote: Quote) -> str | None:
    if quote.address != NATIVE:
        return f"eip155:{chain.id}/erc20:0x{quote.address.hex()}"
    number = COIN_TYPES.get(chain.native_symbol)
    return None if number is None else f"eip155:{chain.id}/slip44:{number}"


def _codes() -> list[Claim]:
    return [
        Claim(
            source=SOURCE,
            venue=row.venue,
            code=row.code,
            scheme="caip19",
            value=row.asset,
            confidence=BY_HAND,
            label=row.label,
            name=row.name,
            since=row.since,
            until=row.until,
            checked=row.checked,
        )
        for row in known.codes()
    ]


def _currencies() -> list[Claim]:
    """A code of four letters is a currency behind the letter that its venue puts before currencies."""
    found = []
    for row in known.venues():
        fiat = _fiat(row.options)
        for code in fiat:
            plain = code if len(code) == CODE_LETTERS else code[1:]
            if plain in currencies():
                found.append(_currency(row.name, code, plain, SOURCE))
    return found


def _currency(venue: str, code: str, plain: str, source: str) -> Claim:
    return Claim(
        source=source,
        venue=venue,
        code=code,
        scheme="iso4217",
        value=plain,
        confidence=1.0,
        label=plain,
        since=ALWAYS,
        checked=datetime.max.replace(tzinfo=UTC),
    )


def _fiat(options: object) -> Sequence[str]:
    told = options.get("fiat", ()) if isinstance(options, dict) else ()
    return [str(code) for code in told]
