"""Real factories at their real mainnet addresses.

A contract is deployed as usual and then moved: code and storage are copied to the wanted address, and every
occurrence of the old address in them (`address(this)` immutables, owners, deployers) becomes the new one. CREATE2
addresses depend on the deployer's address only, so that real addresses yield the real addresses of pools.
"""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass

import rlp
from eth_utils.crypto import keccak

from tests.lab import contracts
from tests.lab.anvil import Anvil, Tx, hexed, unhexed

NO_ONE = bytes(20)
UNISWAP_V2 = unhexed("0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f")
UNISWAP_V3 = unhexed("0x1F98431c8aD98523631AE4a59f267346ea31F984")
POOL_MANAGER = unhexed("0x000000000004444c5dc75cB358380D2e3dE08A90")
QUICKSWAP_V3 = unhexed("0x411b0fAcC3489691f28ad58c47006AF5E3Ab3A28")  # Algebra V1
QUICKSWAP_V3_DEPLOYER = unhexed("0x2D98E2FA9da15aa6dC9581AB097Ced7af697CB92")
CAMELOT_V4 = unhexed("0xBefC4b405041c5833f53412fF997ed2f697a2f37")  # Algebra Integral
CAMELOT_V4_DEPLOYER = unhexed("0x6Dd3FB9653B10e806650F107C3B5A0a6fF974F65")
PANCAKE_V3 = unhexed("0x0BFbCF9fa4f9C56B0F40a671Ad40E0805A091865")
PANCAKE_V3_DEPLOYER = unhexed("0x41ff9AA7e16B8B1a8a8dc4f0eFacd93D02d071c9")
MULTICALL3 = unhexed("0xcA11bde05977b3631167028862bE2a173976CA11")
UNISWAP_MULTICALL = unhexed("0x1F98415757620B543A52E61c46B32eB19261F984")
