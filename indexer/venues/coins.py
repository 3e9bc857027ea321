"""What coins are, by those who list them: contracts of Coinbase's currencies through ccxt, CoinGecko's list of coins.

Only names are read: a network that is not known here gives none, and a ticker is what people call a coin, no more.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial

import requests

from indexer.errors import AnswerTooLarge, BadAnswer, BadSetting, VenueUnavailable
from indexer.model.asset import Claim
from indexer.ports import Session
from indexer.venues.ccxt_client import opened
from indexer.venues.reading import required, text
from indexer.venues.spec import refusal

MOST_CODES = 100_000
MOST_NETWORKS = 200
MOST_BYTES = 64 * 1024 * 1024
COINBASE, COINGECKO = "coinbase", "coingecko"
COINGECKO_SURE = 0.95
BITCOIN = "bip122:000000000019d6689c085ae165831e93"
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"

CHAINS: Mapping[str, Mapping[str, str]] = {
    COINBASE: {
        "ethereum": "eip155:1",
        "polygon": "eip155:137",
        "arbitrum": "eip155:42161",
        "optimism": "eip155:10",
        "base": "eip155:8453",
        "avacchain": "eip155:43114",
        "solana": SOLANA,
        "bitcoin": BITCOIN,
    },
    COINGECKO: {
        "ethereum": "eip155:1",
        "polygon-pos": "eip155:137",
        "arbitrum-one": "eip155:42161",
        "optimistic-ethereum": "eip155:10",
        "base": "eip155:8453",
        "avalanche": "eip155:43114",
        "binance-smart-chain": "eip155:56",
        "solana": SOLANA,
    },
}
"""CAIP-2 of the networks that a source names."""

NATIVE: Mapping[tuple[str, str], str] = {
    ("bitcoin", "BTC"): "slip44:0",
    ("ethereum", "ETH"): "slip44:60",
    ("arbitrum", "ETH"): "slip44:60",
    ("optimism", "ETH"): "slip44:60",
    ("base", "ETH"): "slip44:60",
    ("polygon", "POL"): "slip44:966",
    ("avacchain", "AVAX"): "slip44:9005",
    ("solana", "SOL"): "slip44:501",
}
"""Of Coinbase's networks the currency that has no contract there, in its code."""

_EVM = re.compile(r"0x[0-9a-fA-F]{40}")
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
_NOBODY = "0x" + "0" * 40


def read(session: Session, options: Mapping[str, object]) -> Sequence[Claim]:
    """The whole list of the source that `options.coins` names, for the codes of `options.of`.

    Raises as a venue's `fetch` does.
    """
    source = options.get("coins")
    if source == COINBASE:
        return _coinbase(session, text(options, "of") or COINBASE)
    if source == COINGECKO:
        return _coingecko(session)
    raise BadSetting(f"{session.venue}: there is no list of coins {source!r}; write {COINBASE} or {COINGECKO}")


def _coinbase(session: Session, venue: str) -> list[Claim]:
    with opened(session, "coinbaseexchange") as client:
        told = client.ask(partial(client.api.public_get_currencies, {}))
    return [claim for row in _rows(told, session.venue) for claim in _currency(row, session.venue, venue)]


def _currency(row: Mapping[str, object], source: str, venue: str) -> list[Claim]:
    code, networks = required(row, "id"), row.get("supported_networks")
    if not isinstance(networks, list) or len(networks) > MOST_NETWORKS:
        return []
    found = {_on_network(code, each) for each in networks if isinstance(each, Mapping)}
    return [
        Claim(
            source=source,
            venue=venue,
            code=code,
            scheme="caip19",
            value=value,
            confidence=1.0,
            label=code,
            name=text(row, "name"),
        )
        for value in sorted(found - {None}, key=str)
        if value is not None
    ]


def _on_network(code: str, network: Mapping[str, object]) -> str | None:
    """A contract, or the network's own currency where it has none. None: nothing is known of it."""
    name, contract = text(network, "id") or "", text(network, "contract_address")
    chain = CHAINS[COINBASE].get(name)
    if chain is None:
        return None
    if contract is not None:
        return token(chain, contract)
    native = NATIVE.get((name, code))
    return None if native is None else f"{chain}/{native}"


def _coingecko(session: Session) -> list[Claim]:
    told = _get(session, f"{session.url('api', 'https://api.coingecko.com')}/api/v3/coins/list")
    claims: list[Claim] = []
    for row in _rows(told, session.venue):
        coin, platforms = required(row, "id"), row.get("platforms")
        on = platforms.items() if isinstance(platforms, Mapping) else ()
        known = ((CHAINS[COINGECKO].get(str(name)), text({"at": at}, "at")) for name, at in on)
        tokens = {token(chain, at) for chain, at in known if chain is not None and at is not None} - {None}
        names = [(COINGECKO, coin), *(("caip19", value) for value in sorted(tokens, key=str) if value is not None)]
        label = text(row, "symbol")
        claims += [
            Claim(
                source=session.venue,
                code=coin,
                scheme=scheme,
                value=value,
                confidence=COINGECKO_SURE,
                label=None if label is None else label.upper(),
                name=text(row, "name"),
            )
            for scheme, value in names
        ]
    return claims


def _get(session: Session, url: str) -> object:
    session.draw()
    headers = {"x-cg-demo-api-key": session.secret("COINGECKO_API_KEY")}
    try:
        answer = requests.get(
            url, params={"include_platform": "true"}, headers=headers, timeout=session.timeout_s, allow_redirects=False
        )
    except requests.RequestException as error:
        raise VenueUnavailable(f"{session.venue}: {type(error).__name__}") from None  # its text holds the URL
    if not answer.ok:
        raise refusal(session.venue, answer.status_code, answer.headers.get("Retry-After"))
    if len(answer.content) > MOST_BYTES:
        raise AnswerTooLarge(f"{session.venue}: an answer of {len(answer.content)} bytes")
    session.progress(1, 1)
    try:
        return answer.json()
    except ValueError:
        raise BadAnswer(f"{session.venue}: no JSON in the answer") from None


def token(chain: str, contract: str) -> str | None:
    """CAIP-19 of a token; EVM addresses in lower case. None: that is no address of this chain."""
    if chain.startswith("eip155:") and _EVM.fullmatch(contract) and contract != _NOBODY:
        return f"{chain}/erc20:{contract.lower()}"
    if chain == SOLANA and _BASE58.fullmatch(contract):
        return f"{chain}/token:{contract}"
    return None


def _rows(told: object, venue: str) -> list[Mapping[str, object]]:
    if not isinstance(told, list) or not told or not all(isinstance(row, Mapping) and row.get("id") for row in told):
        raise BadAnswer(f"{venue}: no list of coins")
    if len(told) > MOST_CODES:
        raise AnswerTooLarge(f"{venue}: {len(told)} coins")
    return told
