"""Identity of an instrument: a versioned natural key and its 64-bit BLAKE3 hash."""

from blake3 import blake3

from indexer.model.chain import ADDRESS_BYTES

HASH_BYTES = 8


def natural_key(venue: str, scope: str, stable_id: str, generation: int) -> str:
    """`v1|<venue>|<scope>|<stable id>|<generation>`; a bar or percent sign inside an id is written as in a URL."""
    escaped = stable_id.replace("%", "%25").replace("|", "%7C")
    return f"v1|{venue}|{scope}|{escaped}|{generation}"


def pool_natural_key(chain: str, dex: str, pool_key: bytes) -> str:
    """`v1|<dex>|<chain>|0x<pool id>|0`: venue, scope, stable id and generation of a DEX pool."""
    return f"v1|{dex}|{chain}|0x{pool_key.hex()}|0"


def instrument_hash(natural_key: str, salt: int = 0) -> int:
    """Unsigned 64 bits of BLAKE3. `salt` counts deterministic re-hashes after a collision with another key."""
    text = natural_key if salt == 0 else f"{natural_key}|#{salt}"
    return int.from_bytes(blake3(text.encode()).digest(length=HASH_BYTES), "big")


def is_contract(pool_key: bytes) -> bool:
    """A 20-byte key is the address of a contract; a 32-byte id lives inside a singleton."""
    return len(pool_key) == ADDRESS_BYTES
