"""Addresses and ids that can be derived, so that nobody has to be believed.

CREATE2 (EIP-1014): the last 20 bytes of keccak(0xff, deployer, salt, init code hash).
"""

from indexer.evm.abi import keccak
from indexer.model import Address, Hash32

_MARK = b"\xff"
_ADDRESS_FROM = 12


def create2(deployer: Address, salt: Hash32, init_code_hash: Hash32) -> Address:
    """The address at which `deployer` creates the contract of this init code with this salt."""
    return Address(keccak(_MARK + deployer + salt + init_code_hash)[_ADDRESS_FROM:])


def packed_salt(*parts: bytes) -> Hash32:
    """keccak(abi.encodePacked(parts)): the salt of V2-shaped pairs."""
    return keccak(b"".join(parts))
