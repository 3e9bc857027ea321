"""KyberSwap Elastic: announced with the topic of Uniswap V3, but its fee counts in hundred-thousandths.

`PoolCreated(address indexed token0, address indexed token1, uint24 indexed swapFeeUnits, int24 tickDistance,
address pool)`; a fee of 40 units is 0.04 %. Salt: keccak(abi.encode(token0, token1, swapFeeUnits)).
"""

from indexer.dex.spec import Dex, proof_of
from indexer.evm.abi import WORD, contract_at, expect, int_at, keccak, topic, uint_at
from indexer.model import Factory, Log, PoolCreated, PoolKey

POOL_CREATED = topic("PoolCreated(address,address,uint24,int24,address)")
PPM_A_UNIT = 10


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=4, words=2)
    pool = contract_at(log.data, WORD)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pool),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof=proof_of(factory, pool, lambda: keccak(b"".join(log.topics[1:]))),
        fee_ppm=uint_at(log.topics[3], 0, bits=24) * PPM_A_UNIT,
        fee_kind="fixed",
        tick_spacing=int_at(log.data, 0, bits=24),
    )


KYBER_ELASTIC = Dex(name="kyber_elastic", decoders={POOL_CREATED: _decode})
