"""The facts that ship with the product: each is well formed, and agrees with the others and with the protocols."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from indexer import known
from indexer.dex import BY_NAME
from indexer.evm.checksum import to_checksum
from indexer.known import chains, factories, quote_rank
from indexer.model import NATIVE, address

FILES = Path(known.__file__).parent


def rows(file: str, table: str) -> list[dict]:
    return tomllib.loads((FILES / f"{file}.toml").read_text(encoding="utf-8"))[table]


def test_three_chains_are_known_by_id_name_and_genesis():
    assert {(chain.id, chain.name, chain.genesis_hash.hex()[:8]) for chain in chains()} == {
        (1, "ethereum", "d4e56740"),
        (137, "polygon", "a9c28ce2"),
        (42161, "arbitrum", "7ee576b3"),
    }
    assert len({chain.genesis_hash for chain in chains()}) == 3


def test_each_chain_has_both_multicalls_and_endpoints_of_both_kinds_without_a_key():
    for chain in chains():
        assert chain.multicall3 == address("0xcA11bde05977b3631167028862bE2a173976CA11")
        assert chain.uniswap_multicall is not None
        assert {url.split("://")[0] for url in chain.endpoints} == {"https", "wss"}
        assert len(set(chain.endpoints)) == len(chain.endpoints)
        assert len({url.split("/")[2] for url in chain.endpoints}) >= 3, "several providers"
        assert not [url for url in chain.endpoints if re.search(r"[0-9a-zA-Z_-]{24,}|@|\?", url.split("://")[1])]


def test_a_chain_waits_for_finality_about_as_long_as_it_takes():
    waits = {chain.name: chain.finality_depth * chain.block_time_s for chain in chains()}
    assert waits == {"ethereum": 768, "polygon": 256, "arbitrum": 1800}


def test_addresses_in_the_files_are_written_with_their_checksum():
    keys = ("address", "create2_deployer", "multicall3", "uniswap_multicall")
    tables = (("factories", "factory"), ("quotes", "quote"), ("chains", "chain"))
    written = [row[key] for file, table in tables for row in rows(file, table) for key in keys if key in row]
    assert len(written) > 200
    assert [text for text in written if text != to_checksum(address(text))] == []


def test_209_factories_are_known_and_the_90_core_ones_enabled():
    known_tiers = Counter((factory.tier, factory.enabled) for factory in factories())
    assert known_tiers == {("core", True): 90, ("long_tail", False): 119}
    assert {factory.chain_id for factory in factories() if factory.enabled} == {1, 137, 42161}


def test_every_protocol_has_a_factory_that_is_listened_to():
    assert {factory.protocol for factory in factories() if factory.enabled} == set(BY_NAME)


def test_a_classification_is_chain_emitter_and_topic_and_each_has_a_decoder():
    classified = Counter(
        (factory.chain_id, factory.address, topic) for factory in factories() for topic in factory.topics
    )
    assert set(classified.values()) == {1}
    for factory in factories():
        assert factory.topics
        assert set(factory.topics) <= set(BY_NAME[factory.protocol].decoders)


def test_one_topic_means_different_things_at_different_emitters():
    (v3,) = BY_NAME["uniswap_v3"].decoders
    assert {factory.protocol for factory in factories() if v3 in factory.topics} == {
        "uniswap_v3",
        "kyber_elastic",
        "solidly_v3",
        "ramses_cl",
        "ramses_v3_cl",
    }


def test_emitters_that_announce_with_two_topics_are_listened_to_with_both():
    twice = {factory.protocol for factory in factories() if len(factory.topics) == 2}
    assert twice == {"algebra_integral", "ramses_v3_cl", "solidly"}


def test_a_name_stands_for_one_factory_of_a_chain():
    names = Counter((factory.chain_id, factory.dex) for factory in factories())
    assert set(names.values()) == {1}


def test_an_enabled_factory_has_a_floor_and_says_where_it_comes_from():
    for factory in factories():
        assert factory.source
        assert (factory.from_block_quality == "unknown") == (factory.from_block == 0)
        if factory.enabled:
            assert factory.from_block > 0
            assert factory.from_block_quality in ("published", "lower_bound")


def test_a_number_of_a_fee_stands_only_beside_a_kind_that_keeps_it():
    assert {factory.fee_kind for factory in factories() if factory.fee_ppm is not None} == {"fixed"}
    (camelot,) = [factory for factory in factories() if factory.dex == "camelot_v2"]
    assert (camelot.fee_kind, camelot.fee_ppm) == ("mutable", None)
    (uniswap,) = [factory for factory in factories() if factory.dex == "uniswap_v2" and factory.chain_id == 1]
    assert (uniswap.fee_kind, uniswap.fee_ppm) == ("fixed", 3000)


def test_files_are_in_order():
    found = rows("factories", "factory")
    assert found == sorted(found, key=lambda row: (order(row), row["tier"] != "core", row["dex"]))
    assert [chain.id for chain in chains()] == sorted(chain.id for chain in chains())


def order(row: dict) -> int:
    return [chain.name for chain in chains()].index(row["chain"])


def test_stable_ranks_before_native_before_btc_on_every_chain():
    ranked = quote_rank()
    assert [quote.rank for quote in ranked] == list(range(1, len(ranked) + 1))
    for chain in chains():
        kinds = [quote.kind for quote in ranked if quote.chain_id == chain.id]
        assert kinds == sorted(kinds, key=("stable", "native", "btc").index)
        assert set(kinds) == {"stable", "native", "btc"}
        assert NATIVE in {quote.address for quote in ranked if quote.chain_id == chain.id}


def test_no_known_factory_is_a_quote_token():
    """One address is a factory on Polygon and a token on Ethereum: only the pair of chain and address says which."""
    tokens = {(quote.chain_id, quote.address) for quote in quote_rank()}
    assert not tokens & {(factory.chain_id, factory.address) for factory in factories()}


@pytest.mark.parametrize("table", ["chains", "factories", "quotes"])
def test_the_fact_files_name_no_machine_and_hold_no_key(table):
    text = (FILES / f"{table}.toml").read_text(encoding="utf-8")
    assert not re.search(r"/work|/home|api[_-]?key|registry\.npmjs|pypi\.org", text, re.IGNORECASE)
