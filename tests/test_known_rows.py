"""Rows that somebody wrote wrong: each is refused by file, row, key and remedy, and nothing of it is taken."""

import re

import pytest

from indexer.errors import BadSetting
from indexer.known import chains, parse_chains, parse_factories, quote
from indexer.model import address, hash32

SOURCE = "gazetteer.toml"
GENESIS = "0x" + "ab" * 32
AT = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
TOPIC = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"

CHAIN = {
    "id": 31337,
    "name": "devnet",
    "genesis_hash": GENESIS,
    "block_time_s": 1,
    "poll_s": 0.5,
    "finality_depth": 0,
    "native_symbol": "ETH",
    "native_name": "Ether",
    "endpoints": ["http://127.0.0.1:8545", "ws://127.0.0.1:8545"],
}
FACTORY = {"chain": "ethereum", "dex": "my_fork", "protocol": "uniswap_v2", "address": AT}
QUOTE = {"chain": "ethereum", "class": "stable", "symbol": "USDC", "address": AT}


def refused(parse, row: dict, *, at: int = 1) -> str:
    with pytest.raises(BadSetting) as caught:
        parse(row)
    message = str(caught.value)
    assert message.startswith(f"{SOURCE}: [[")
    assert f"row {at} " in message
    assert "; " in message, "a remedy"
    return message


def chain_of(row: dict):
    return parse_chains([row], SOURCE)


def factory_of(row: dict):
    return parse_factories([row], SOURCE)


def quote_of(row: dict):
    return quote.parse_quotes([row], SOURCE, chains())


def without(row: dict, key: str) -> dict:
    return {name: value for name, value in row.items() if name != key}


def test_a_chain_row_says_all_that_is_needed():
    (chain,) = chain_of(CHAIN)
    assert (chain.id, chain.name, chain.genesis_hash) == (31337, "devnet", hash32(GENESIS))
    assert (chain.block_time_s, chain.poll_s, chain.finality_depth, chain.native_decimals) == (1.0, 0.5, 0, 18)
    assert (chain.multicall3, chain.uniswap_multicall, chain.source) == (None, None, SOURCE)
    assert chain.endpoints == ("http://127.0.0.1:8545", "ws://127.0.0.1:8545")


@pytest.mark.parametrize(
    "key", ["id", "name", "genesis_hash", "block_time_s", "poll_s", "finality_depth", "native_symbol", "native_name"]
)
def test_a_chain_without_a_needed_value_is_refused_by_the_name_of_the_key(key):
    message = refused(chain_of, without(CHAIN, key))
    assert f": {key} is missing; add {key} = " in message


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("id", 0, "whole number of 1"),
        ("id", True, "whole number"),
        ("id", "1", "unquoted"),
        ("id", 2**63, "whole number"),
        ("name", "Dev Net", "a-z, 0-9 and _"),
        ("name", "", "a-z, 0-9 and _"),
        ("name", 7, "in quotes"),
        ("genesis_hash", "0x1234", "64 hex digits"),
        ("genesis_hash", "ab" * 32, "64 hex digits"),
        ("genesis_hash", 5, "in quotes"),
        ("block_time_s", 0, "seconds above 0"),
        ("block_time_s", "1", "unquoted"),
        ("poll_s", -1.5, "seconds above 0"),
        ("poll_s", False, "seconds above 0"),
        ("poll_s", float("nan"), "seconds above 0"),
        ("poll_s", float("inf"), "seconds above 0"),
        ("finality_depth", -1, "whole number of 0"),
        ("finality_depth", 1.0, "whole number"),
        ("native_symbol", " ", "printable"),
        ("native_symbol", "E\x00TH", "printable"),
        ("native_symbol", "E" * 65, "1 to 64"),
        ("native_decimals", 256, "0 to 255"),
        ("multicall3", AT.replace("5C", "5c"), "right checksum"),
        ("multicall3", AT[:-2], "40 hex digits"),
        ("uniswap_multicall", AT[2:], "40 hex digits"),
        ("endpoints", "http://127.0.0.1", "write it as"),
        ("endpoints", [8545], "write it as"),
        ("source", 1, "in quotes"),
        ("genesis", GENESIS, "remove it"),
    ],
)
def test_a_wrong_value_of_a_chain_is_named_with_its_remedy(key, value, remedy):
    message = refused(chain_of, {**CHAIN, key: value})
    assert f": {key} " in message
    assert remedy in message


def test_an_endpoint_is_named_by_its_place_because_it_may_hold_a_key():
    message = refused(chain_of, {**CHAIN, "endpoints": ["https://fine.example", "node.example/v3/s3cret-key"]})
    assert "endpoints has no URL in place 2; start it with" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(("key", "other"), [("id", {"name": "other"}), ("name", {"id": 5})])
def test_two_chains_of_one_id_or_name_are_refused_at_the_second_row(key, other):
    message = refused(lambda row: parse_chains([CHAIN, {**row, **other}], SOURCE), CHAIN, at=2)
    assert f": {key} = " in message


def test_a_factory_row_says_all_that_is_needed():
    row = {
        **FACTORY,
        "from_block": 7,
        "init_code_hash": GENESIS,
        "create2_deployer": AT.lower(),
        "fee_ppm": 3000,
        "fee_kind": "fixed",
        "topics": [TOPIC],
        "enabled": False,
    }
    (factory,) = factory_of(row)
    assert (factory.chain_id, factory.dex, factory.protocol, factory.address) == (
        1,
        "my_fork",
        "uniswap_v2",
        address(AT),
    )
    assert (factory.from_block, factory.from_block_quality, factory.enabled) == (7, "configured", False)
    assert (factory.init_code_hash, factory.create2_deployer) == (hash32(GENESIS), address(AT))
    assert (factory.fee_kind, factory.fee_ppm, factory.topics) == ("fixed", 3000, (hash32(TOPIC),))
    assert (factory.tier, factory.confidence, factory.source) == ("own", "high", SOURCE)


@pytest.mark.parametrize("key", ["chain", "dex", "protocol", "address"])
def test_a_factory_without_a_needed_value_is_refused_by_the_name_of_the_key(key):
    assert f": {key} is missing; add {key} = " in refused(factory_of, without(FACTORY, key))


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("chain", "base", "arbitrum, ethereum, polygon"),
        ("chain", 1, "in quotes"),
        ("dex", "my fork", "a-z, 0-9 and _"),
        ("protocol", "uniswap_v5", "uniswap_v4"),
        ("address", AT[:-1], "40 hex digits"),
        ("address", AT.swapcase(), "40 hex digits"),
        ("from_block", -1, "whole number"),
        ("from_block", "7", "unquoted"),
        ("from_block_quality", "good", "published"),
        ("topics", TOPIC, "write it as"),
        ("topics", [], "enabled = false"),
        ("topics", ["0x" + "11" * 32], TOPIC),
        ("enabled", "no", "true or false"),
        ("enabled", 0, "true or false"),
        ("init_code_hash", "0x12", "64 hex digits"),
        ("create2_deployer", "nobody", "40 hex digits"),
        ("fee_ppm", 3000.0, "whole number"),
        ("fee_ppm", 1_000_001, "0 to 1000000"),
        ("fee_ppm", 3000, "fee_kind fixed or mutable"),
        ("fee_kind", "cheap", "fixed, mutable, dynamic, unknown"),
        ("tier", "best", "core, long_tail, own"),
        ("confidence", "sure", "high, medium, low"),
        ("fee", 3000, "remove it"),
    ],
)
def test_a_wrong_value_of_a_factory_is_named_with_its_remedy(key, value, remedy):
    message = refused(factory_of, {**FACTORY, key: value})
    assert re.search(rf"\(my.fork\): {key} ", message)
    assert remedy in message


def test_a_fee_that_moves_takes_no_number():
    message = refused(factory_of, {**FACTORY, "fee_ppm": 3000, "fee_kind": "dynamic"})
    assert "fee_ppm = 3000 contradicts fee_kind = 'dynamic'" in message


def test_a_topic_of_another_protocol_is_refused():
    refused(factory_of, {**FACTORY, "protocol": "uniswap_v3", "topics": [TOPIC]})


def test_a_factory_may_be_of_a_chain_that_only_the_operator_knows():
    ours = parse_chains([CHAIN], SOURCE)
    (factory,) = parse_factories([{**FACTORY, "chain": "devnet"}], SOURCE, ours)
    assert factory.chain_id == 31337
    with pytest.raises(BadSetting, match="write one of devnet"):
        parse_factories([FACTORY], SOURCE, ours)


def test_one_address_is_two_factories_on_two_chains_but_never_two_on_one():
    apart = parse_factories([FACTORY, {**FACTORY, "chain": "polygon"}], SOURCE)
    assert [factory.chain_id for factory in apart] == [1, 137]
    twice = refused(
        lambda row: parse_factories([FACTORY, {**row, "address": AT.lower(), "dex": "twin"}], SOURCE), FACTORY, at=2
    )
    assert "address stands in another row" in twice


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("chain", "base", "ethereum"),
        ("class", "gold", "stable, native, btc"),
        ("address", "0x0", "40 hex digits"),
        ("symbol", 5, "in quotes"),
        ("rank", 1, "remove it"),
    ],
)
def test_a_wrong_value_of_a_quote_is_named_with_its_remedy(key, value, remedy):
    message = refused(quote_of, {**QUOTE, key: value})
    assert f": {key} " in message
    assert remedy in message


def test_a_quote_token_stands_once():
    message = refused(lambda row: quote.parse_quotes([QUOTE, row], SOURCE, chains()), QUOTE, at=2)
    assert "address stands in another row" in message
