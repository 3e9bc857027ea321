"""Uniswap V2 and its forks: one pair per token couple, and a fee that the event does not say.

`PairCreated(address indexed token0, address indexed token1, address pair, uint256 allPairsLength)`; the last word
is the factory's count of pairs after this one. Salt: keccak(token0 ++ token1).
"""

from indexer.dex.spec import Dex, index_of, proof_of
from indexer.evm.abi import contract_at, expect, topic, uint_at
from indexer.evm.create2 import packed_salt
from indexer.model import Factory, Log, PoolCreated, PoolKey

PAIR_CREATED = topic("PairCreated(address,address,address,uint256)")


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=3, words=2)
    token0, token1 = contract_at(log.topics[1], 0), contract_at(log.topics[2], 0)
    pair = contract_at(log.data, 0)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pair),
        token0=token0,
        token1=token1,
        proof=proof_of(factory, pair, lambda: packed_salt(token0, token1)),
        fee_ppm=factory.fee_ppm,
        fee_kind=factory.fee_kind,
        pool_index=index_of(uint_at(log.data, 32)),
    )


UNISWAP_V2 = Dex(name="uniswap_v2", decoders={PAIR_CREATED: _decode})
