"""Contracts to deploy: artifacts of the installed packages, and our own compiled ones."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_abi.grammar import parse
from eth_utils.crypto import keccak

from tests.lab.anvil import PACKAGES, Anvil, Tx, unhexed

V2_FACTORY = "@uniswap/v2-core/build/UniswapV2Factory.json"
V3_FACTORY = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
V3_POOL = "@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json"
V4_MANAGER = "@uniswap/v4-core/out/PoolManager.sol/PoolManager.json"
ALGEBRA_DEPLOYER = "@cryptoalgebra/core/artifacts/contracts/AlgebraPoolDeployer.sol/AlgebraPoolDeployer.json"
ALGEBRA_FACTORY = "@cryptoalgebra/core/artifacts/contracts/AlgebraFactory.sol/AlgebraFactory.json"
ALGEBRA_POOL = "@cryptoalgebra/core/artifacts/contracts/AlgebraPool.sol/AlgebraPool.json"
_INTEGRAL = "@cryptoalgebra/integral-core/artifacts/contracts"
INTEGRAL_DEPLOYER = f"{_INTEGRAL}/AlgebraPoolDeployer.sol/AlgebraPoolDeployer.json"
INTEGRAL_FACTORY = f"{_INTEGRAL}/AlgebraFactory.sol/AlgebraFactory.json"
INTEGRAL_POOL = f"{_INTEGRAL}/AlgebraPool.sol/AlgebraPool.json"
PANCAKE_FACTORY = "@pancakeswap/v3-core/artifacts/contracts/PancakeV3Factory.sol/PancakeV3Factory.json"
PANCAKE_POOL = "@pancakeswap/v3-core/artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json"
UNISWAP_MULTICALL = (
    "@uniswap/v3-periphery/artifacts/contracts/lens/UniswapInterfaceMulticall.sol/UniswapInterfaceMulticall.json"
)
FIXED_SUPPLY = "@openzeppelin/contracts/build/contracts/ERC20PresetFixedSupply.json"
MINTER_PAUSER = "@openzeppelin/contracts/build/contracts/ERC20PresetMinterPauser.json"
PROXY = "@openzeppelin/contracts/build/contracts/TransparentUpgradeableProxy.json"
_VIEM_CONSTANTS = "viem/constants/contracts.ts"
_HERE = Path(__file__).parent


@cache
def packaged(path: str) -> bytes:
    """Creation bytecode of an artifact of one of the packages."""
    code = json.loads((PACKAGES / path).read_text())["bytecode"]
    text: str = code["object"] if isinstance(code, dict) else code
    return bytes.fromhex(text.removeprefix("0x"))


@cache
def ours(file: str, contract: str) -> bytes:
    """Creation bytecode of a contract of tests/lab/<file>.sol."""
    return unhexed(json.loads((_HERE / f"{file}.json").read_text())["contracts"][contract])


@cache
def multicall3() -> bytes:
    """Creation bytecode of Multicall3 as viem carries it: the same source, built with other compiler settings.

    Its runtime is 5561 bytes long, the mainnet contract's 3808; selectors and behaviour are the same.
    """
    found = re.search(r"multicall3Bytecode\s*=\s*'(0x[0-9a-f]+)'", (PACKAGES / _VIEM_CONSTANTS).read_text())
    assert found, "viem does not carry multicall3Bytecode any more"
    return unhexed(found[1])


def call_data(signature: str, *values: object) -> bytes:
    """Selector and arguments; addresses as bytes. `signature` as in Solidity: `f(address,uint24)`."""
    types = [part.to_type_str() for part in _arguments(signature)]
    return keccak(text=signature)[:4] + encode(types, list(values))


def _arguments(signature: str) -> Any:
    inside = signature[signature.index("(") :]
    return parse(inside).components if inside != "()" else ()


def deploy(anvil: Anvil, creation: bytes, types: tuple[str, ...] = (), values: tuple[object, ...] = ()) -> bytes:
    """Deploy from the first account. Returns the address."""
    receipt = anvil.send(Tx(to=None, data=creation + encode(types, values)))
    return unhexed(receipt["contractAddress"])
