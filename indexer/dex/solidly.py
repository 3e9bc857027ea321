"""Solidly and its forks: a volatile and a stable pair per token couple.

`PairCreated(address indexed token0, address indexed token1, bool stable, address pair, uint256 allPairsLength)`; the
last word is the factory's count of pairs after this one. Salt: keccak(token0 ++ token1 ++ stable), the flag one byte.
The event says no fee; a row says what is published about its kind. Some forks are told to announce as Uniswap V2
does, `PairCreated(address indexed token0, address indexed token1, address pair, uint256 allPairsLength)`, where the
flag is not known and nothing can be derived.
"""

from indexer.dex.spec import Dex, index_of, proof_of
from indexer.evm.abi import WORD, bool_at, contract_at, expect, topic, uint_at
from indexer.evm.create2 import packed_salt
from indexer.model import Factory, Log, PoolCreated, PoolKey

PAIR_CREATED = topic("PairCreated(address,address,bool,address,uint256)")
UNFLAGGED = topic("PairCreated(address,address,address,uint256)")


def _decode(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=3, words=3)
    token0, token1 = contract_at(log.topics[1], 0), contract_at(log.topics[2], 0)
    stable, pair = bool_at(log.data, 0), contract_at(log.data, WORD)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(pair),
        token0=token0,
        token1=token1,
        proof=proof_of(factory, pair, lambda: packed_salt(token0, token1, bytes([stable]))),
        fee_ppm=factory.fee_ppm,
        fee_kind=factory.fee_kind,
        stable=stable,
        pool_index=index_of(uint_at(log.data, 2 * WORD)),
    )


def _unflagged(log: Log, factory: Factory) -> PoolCreated:
    expect(log, topics=3, words=2)
    return PoolCreated(
        log=log,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(contract_at(log.data, 0)),
        token0=contract_at(log.topics[1], 0),
        token1=contract_at(log.topics[2], 0),
        proof="log",
        fee_ppm=factory.fee_ppm,
        fee_kind=factory.fee_kind,
        pool_index=index_of(uint_at(log.data, WORD)),
    )


SOLIDLY = Dex(name="solidly", decoders={PAIR_CREATED: _decode, UNFLAGGED: _unflagged})
