"""Tokens well and ill, and what a register has to say about each of them.

Statuses and values are written by hand from the contracts' sources. Raw bytes are what the node itself answers, so
that they are compared with the chain and not with ourselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.evm.erc20 import DECIMALS, NAME, RAW_BYTES, SYMBOL
from indexer.flow.asking import GAS_ALONE
from indexer.model import Address
from tests.lab import contracts, deploy
from tests.lab.anvil import Anvil, Refused, hexed, unhexed
from tests.lab.deploy import Site

STRANGER = Address(b"\x5a" * 19 + b"\x01")  # nobody ever deployed anything there
Field = tuple[str, str | int | None]
ABSENT: Field = ("absent", None)
MALFORMED: Field = ("malformed", None)
NO_CODE: Field = ("no_code", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Status and value of each field of one token."""

    symbol: Field
    name: Field
    decimals: Field


def ok(symbol: str, name: str, decimals: int) -> Facts:
    """A token that does everything right."""
    return Facts(symbol=("ok", symbol), name=("ok", name), decimals=("ok", decimals))


ODD: Mapping[str, Facts] = {
    "Changing": ok("BEF", "Before", 18),
    "Words": ok("WRD", "Words Token", 18),
    "Invisible": ok("USDC", "USD Coin", 6),
    "Nul": ok("NUL", "NulByte", 18),
    "Vast": Facts(symbol=("ok", "VAST"), name=("ok", "Vast Decimals"), decimals=MALFORMED),
    "Refuses": Facts(symbol=ABSENT, name=ABSENT, decimals=("ok", 6)),
    "Liar": Facts(symbol=MALFORMED, name=MALFORMED, decimals=("ok", 18)),
    "Broken": Facts(symbol=MALFORMED, name=MALFORMED, decimals=("ok", 18)),
    "Endless": Facts(symbol=ABSENT, name=("ok", "Endless"), decimals=("ok", 18)),
    "Flood": Facts(symbol=ABSENT, name=("ok", "Flood"), decimals=("ok", 18)),
    "Heavy": ok("HEAVY", "Heavy", 18),
    "Silent": Facts(symbol=ABSENT, name=ABSENT, decimals=ABSENT),
    "Hollow": Facts(symbol=ABSENT, name=ABSENT, decimals=ABSENT),
}
PLAIN = (("Gold Note", "GLD", 18), ("Tin", "TIN", 0), ("Étain ⚒", "ÉTN", 8))


def zoo(site: Site) -> dict[Address, Facts]:
    """Deploy all of them; what each is, by address, with the real ones and the one that is nowhere."""
    anvil = site.anvil
    found = {Address(contracts.deploy(anvil, contracts.ours("odd_tokens", name))): facts for name, facts in ODD.items()}
    for name, symbol, decimals in PLAIN:
        found[born(anvil, name, symbol, decimals)] = ok(symbol, name, decimals)
    fixed = ("Wrapped Test", "WTST", 10**24, anvil.sender)
    types = ("string", "string", "uint256", "address")
    found[Address(contracts.deploy(anvil, contracts.packaged(contracts.FIXED_SUPPLY), types, fixed))] = ok(
        "WTST", "Wrapped Test", 18
    )
    minted = contracts.packaged(contracts.MINTER_PAUSER)
    token = contracts.deploy(anvil, minted, ("string", "string"), ("US Tether 💵", "USDT💵"))
    found[Address(token)] = ok("USDT💵", "US Tether 💵", 18)
    found[site.weth] = ok("WETH", "Wrapped Ether", 18)
    found[site.usdc] = ok("USDC", "USD Coin", 6)
    found[STRANGER] = Facts(symbol=NO_CODE, name=NO_CODE, decimals=NO_CODE)
    return found


def born(anvil: Anvil, name: str, symbol: str, decimals: int) -> Address:
    """One more token that does everything right."""
    return Address(contracts.deploy(anvil, *deploy.plain(name, symbol, decimals)))


def row_of(anvil: Anvil, token: Address, facts: Facts) -> dict[str, object]:
    """What `api.tokens` has to say, raw bytes as the node answers now."""
    row: dict[str, object] = {}
    for field, selector in (("symbol", SYMBOL), ("name", NAME), ("decimals", DECIMALS)):
        status, value = getattr(facts, field)
        row |= {field: value, f"{field}_status": status, f"{field}_raw": _raw(anvil, token, selector)}
    return row


def _raw(anvil: Anvil, token: Address, selector: bytes) -> str | None:
    """Returned or reverted with, within the gas that a question alone gets."""
    try:
        told = anvil.read(token, selector, gas=GAS_ALONE)
    except Refused as error:
        told = unhexed(error.data) if isinstance(error.data, str) else b""
    return hexed(told[:RAW_BYTES]) if told else None
