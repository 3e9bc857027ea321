"""How protocols announce a pool. One file each; the list here is the registry."""

from collections.abc import Mapping
from types import MappingProxyType

from indexer.dex.spec import Dex
from indexer.dex.uniswap_v2 import UNISWAP_V2
from indexer.dex.uniswap_v3 import UNISWAP_V3

ALL: tuple[Dex, ...] = (UNISWAP_V2, UNISWAP_V3)
BY_NAME: Mapping[str, Dex] = MappingProxyType({dex.name: dex for dex in ALL})

__all__ = ["ALL", "BY_NAME", "Dex"]
