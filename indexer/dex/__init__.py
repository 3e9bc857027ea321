"""How protocols announce a pool. One file a family; the list here is the registry."""

from collections.abc import Mapping
from types import MappingProxyType

from indexer.dex.algebra import ALGEBRA_INTEGRAL, ALGEBRA_V1, ALGEBRA_V1_9
from indexer.dex.kyber_elastic import KYBER_ELASTIC
from indexer.dex.liquidity_book import LIQUIDITY_BOOK
from indexer.dex.ramses import RAMSES_CL, RAMSES_V3_CL
from indexer.dex.solidly import SOLIDLY
from indexer.dex.solidly_v3 import SOLIDLY_V3
from indexer.dex.spec import Dex
from indexer.dex.uniswap_v1 import UNISWAP_V1
from indexer.dex.uniswap_v2 import UNISWAP_V2
from indexer.dex.uniswap_v3 import UNISWAP_V3
from indexer.dex.uniswap_v4 import UNISWAP_V4

ALL: tuple[Dex, ...] = (
    UNISWAP_V1,
    UNISWAP_V2,
    UNISWAP_V3,
    UNISWAP_V4,
    ALGEBRA_V1,
    ALGEBRA_V1_9,
    ALGEBRA_INTEGRAL,
    SOLIDLY,
    SOLIDLY_V3,
    KYBER_ELASTIC,
    RAMSES_CL,
    RAMSES_V3_CL,
    LIQUIDITY_BOOK,
)
BY_NAME: Mapping[str, Dex] = MappingProxyType({dex.name: dex for dex in ALL})

__all__ = ["ALL", "BY_NAME", "Dex"]
