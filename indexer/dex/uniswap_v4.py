"""Uniswap V4: pools are entries of one manager, named by the hash of their key, and announced with it.

`Initialize(bytes32 indexed id, address indexed currency0, address indexed currency1, uint24 fee, int24 tickSpacing,
address hooks, uint160 sqrtPriceX96, int24 tick)`. Id: keccak(abi.encode(currency0, currency1, fee, tickSpacing,
hooks)). Currency 0 may be the native one. A fee of 0x800000 says that the hook decides it; any other never changes.
"""

from indexer.dex.spec import Dex
from indexer.errors import ProofMismatch
from indexer.evm.abi import WORD, address_at, contract_at, expect, int_at, keccak, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

INITIALIZE = topic("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)")
DYNAMIC_FEE = 0x800000
_KEY_IN_DATA = 3 * WORD


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=5)
    fee = uint_at(log.data, 0, bits=24)
    tick_spacing, hooks = int_at(log.data, WORD, bits=24), address_at(log.data, 2 * WORD)
    currency0, currency1 = address_at(log.topics[2], 0), contract_at(log.topics[3], 0)
    uint_at(log.data, 3 * WORD, bits=160)  # the price and its tick at the start are checked, not kept
    int_at(log.data, 4 * WORD, bits=24)
    pool_id = log.topics[1]
    derived = keccak(log.topics[2] + log.topics[3] + log.data[:_KEY_IN_DATA])
    if derived != pool_id:
        message = f"announced 0x{pool_id.hex()}, but its pool key hashes to 0x{derived.hex()}"
        raise ProofMismatch(message)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool_id),
        token0=currency0,
        token1=currency1,
        proof="pool_key",
        fee_ppm=None if fee == DYNAMIC_FEE else fee,
        fee_kind="dynamic" if fee == DYNAMIC_FEE else "fixed",
        tick_spacing=tick_spacing,
        hooks=hooks,
    )


UNISWAP_V4 = Dex(name="uniswap_v4", decoders={INITIALIZE: _decode})
