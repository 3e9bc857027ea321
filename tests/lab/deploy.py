"""Real factories at their real mainnet addresses.

A contract is deployed as usual and then moved: code and storage are copied to the wanted address, and every
occurrence of the old address in them (`address(this)` immutables) becomes the new one. CREATE2 addresses depend on
the deployer's address only, so real addresses yield the real addresses of pools.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from indexer import known
from indexer.known import Chain
from indexer.model import Address, Factory, Hash32, address
from tests.lab import contracts
from tests.lab.anvil import Anvil, Tx, hexed, unhexed
from tests.lab.contracts import call_data

ANY_VAULT = b"\x11" * 20
CUSTOM_POOL_DEPLOYER = keccak(text="CUSTOM_POOL_DEPLOYER")
# Which of the known factories there is real bytecode for, by the name of their chain.
DEXES = {
    "ethereum": ("uniswap_v2", "uniswap_v3", "uniswap_v4", "pancakeswap_v3"),
    "polygon": ("uniswap_v2", "quickswap_v2", "uniswap_v3", "uniswap_v4", "quickswap_v3"),
    "arbitrum": ("uniswap_v2", "uniswap_v3", "uniswap_v4", "pancakeswap_v3", "camelot_v4"),
}
# The packages hold another build of Algebra's pools than the chains do, and Camelot's deployer is known here only.
CAMELOT_V4_DEPLOYER = address("0x6Dd3FB9653B10e806650F107C3B5A0a6fF974F65")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One chain with its factories, by the name of their DEX, as the product should know them here.

    `weth` and `usdc` are real tokens at their real addresses; `custom_deployer` is None where no factory has one.
    """

    anvil: Anvil
    chain: Chain
    factories: Mapping[str, Factory]
    weth: Address
    usdc: Address
    custom_deployer: Address | None


def build(anvil: Anvil) -> Site:
    """Everything that stands on a chain before its first pool; the node's chain id says which chain."""
    real = next(chain for chain in known.chains() if chain.id == anvil.chain_id)
    factories = {factory.dex: _as_built(factory) for factory in _wanted(real)}
    for factory in factories.values():
        _BUILDERS[factory.dex](anvil, factory)
    place(anvil, contracts.multicall3(), at=real.multicall3)
    place(anvil, contracts.packaged(contracts.UNISWAP_MULTICALL), at=real.uniswap_multicall)
    quotes = {quote.symbol: quote.address for quote in known.quote_rank() if quote.chain_id == real.id}
    place(anvil, *plain("Wrapped Ether", "WETH", 18), at=quotes["WETH"])
    place(anvil, *plain("USD Coin", "USDC", 6), at=quotes["USDC"])
    return Site(
        anvil=anvil,
        chain=replace(real, genesis_hash=Hash32(anvil.block_hash(0)), endpoints=(anvil.url, anvil.ws_url)),
        factories=factories,
        weth=quotes["WETH"],
        usdc=quotes["USDC"],
        custom_deployer=_custom_deployer(anvil, factories["camelot_v4"]) if "camelot_v4" in factories else None,
    )


def plain(name: str, symbol: str, decimals: int) -> tuple[bytes, tuple[str, ...], tuple[object, ...]]:
    """A token that does everything right: what `contracts.deploy` takes."""
    return contracts.ours("odd_tokens", "Plain"), ("string", "string", "uint8"), (name, symbol, decimals)


def place(
    anvil: Anvil,
    creation: bytes,
    types: tuple[str, ...] = (),
    values: tuple[object, ...] = (),
    *,
    at: bytes,
) -> None:
    """Deploy, then move to `at`."""
    transplant(anvil, contracts.deploy(anvil, creation, types, values), at)


def transplant(anvil: Anvil, old: bytes, new: bytes) -> None:
    """Copy a contract's code and storage; it calls itself by its new address."""
    moves = [
        ("anvil_setCode", (hexed(new), hexed(anvil.code(old).replace(old, new)))),
        ("anvil_setNonce", (hexed(new), "0x1")),  # as every contract begins
    ]
    for slot, value in _storage(anvil, old).items():
        moved = value.rjust(32, b"\0").replace(old, new)
        moves.append(("anvil_setStorageAt", (hexed(new), hexed(slot.rjust(32, b"\0")), hexed(moved))))
    anvil.batch(moves)


def _storage(anvil: Anvil, of: bytes) -> dict[bytes, bytes]:
    accounts = json.loads(gzip.decompress(unhexed(anvil.call("anvil_dumpState"))))["accounts"]
    found = next(account for at, account in accounts.items() if unhexed(at) == of)
    return {_word(slot): _word(value) for slot, value in found["storage"].items()}


def _word(text: str) -> bytes:
    return int(text, 16).to_bytes(32, "big")


def _wanted(chain: Chain) -> list[Factory]:
    return [
        factory for factory in known.factories() if factory.chain_id == chain.id and factory.dex in DEXES[chain.name]
    ]


def _as_built(factory: Factory) -> Factory:
    """The known facts, but of a chain that begins now, and of the pools that the packages hold."""
    changed = replace(factory, from_block=0, from_block_quality="configured")
    if factory.protocol == "algebra_v1":
        return replace(changed, init_code_hash=init_code_hash(contracts.ALGEBRA_POOL))
    if factory.protocol == "algebra_integral":
        return replace(changed, create2_deployer=CAMELOT_V4_DEPLOYER)
    return changed


def init_code_hash(pool: str) -> Hash32:
    """Of a packaged pool, as CREATE2 takes it."""
    return Hash32(keccak(contracts.packaged(pool)))


def _uniswap_v2(anvil: Anvil, factory: Factory) -> None:
    place(anvil, contracts.packaged(contracts.V2_FACTORY), ("address",), (anvil.sender,), at=factory.address)


def _uniswap_v3(anvil: Anvil, factory: Factory) -> None:
    place(anvil, contracts.packaged(contracts.V3_FACTORY), at=factory.address)
    anvil.send(Tx(to=factory.address, data=call_data("enableFeeAmount(uint24,int24)", 100, 1)))


def _uniswap_v4(anvil: Anvil, factory: Factory) -> None:
    place(anvil, contracts.packaged(contracts.V4_MANAGER), ("address",), (anvil.sender,), at=factory.address)


def _pancake_v3(anvil: Anvil, factory: Factory) -> None:
    deployer = factory.create2_deployer
    pool = contracts.packaged(contracts.PANCAKE_POOL)
    place(anvil, contracts.ours("pancake_deployer", "PancakeDeployer"), ("bytes",), (pool,), at=deployer)
    place(anvil, contracts.packaged(contracts.PANCAKE_FACTORY), ("address",), (deployer,), at=factory.address)
    anvil.send(Tx(to=deployer, data=call_data("setFactoryAddress(address)", factory.address)))


def _algebra_v1(anvil: Anvil, factory: Factory) -> None:
    deployer = factory.create2_deployer
    takes, told = ("address", "address"), (factory.address, ANY_VAULT)
    place(anvil, contracts.packaged(contracts.ALGEBRA_DEPLOYER), takes, told, at=deployer)
    place(anvil, contracts.packaged(contracts.ALGEBRA_FACTORY), ("address",), (deployer,), at=factory.address)


def _algebra_integral(anvil: Anvil, factory: Factory) -> None:
    deployer = factory.create2_deployer
    place(anvil, contracts.packaged(contracts.INTEGRAL_DEPLOYER), ("address",), (factory.address,), at=deployer)
    place(anvil, contracts.packaged(contracts.INTEGRAL_FACTORY), ("address",), (deployer,), at=factory.address)


def _custom_deployer(anvil: Anvil, factory: Factory) -> Address:
    """A contract that may ask this factory for custom pools."""
    deployer = contracts.deploy(anvil, contracts.ours("custom_deployer", "CustomDeployer"))
    role = call_data("grantRole(bytes32,address)", CUSTOM_POOL_DEPLOYER, deployer)
    anvil.send(Tx(to=factory.address, data=role))
    return Address(deployer)


_BUILDERS = {
    "uniswap_v2": _uniswap_v2,
    "quickswap_v2": _uniswap_v2,
    "uniswap_v3": _uniswap_v3,
    "uniswap_v4": _uniswap_v4,
    "pancakeswap_v3": _pancake_v3,
    "quickswap_v3": _algebra_v1,
    "camelot_v4": _algebra_integral,
}
