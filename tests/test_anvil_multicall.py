"""On a real EVM: a gas burner and a return bomb in a batch harm nobody, whatever multicall packs it."""

import json
from collections import Counter

import pytest

from indexer.evm import erc20
from indexer.evm.dialogue import together
from indexer.flow.asking import FEWEST_TOGETHER, Multicalls, ask_together
from indexer.model import Call, Returned, Reverted
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from tests.lab import anvil, contracts, deploy, zoo
from tests.lab.anvil import Anvil

pytestmark = pytest.mark.anvil

NODE_GAS = 30_000_000  # what a node allows a call that names no gas; two burners exhaust it
GOOD = 60
EVIL = ("Endless", "Flood", "Endless", "Flood", "Flood", "Endless")
WAYS = {
    "with gas limits": lambda site: Multicalls(limited=site.chain.uniswap_multicall, unlimited=None),
    "without gas limits": lambda site: Multicalls(limited=None, unlimited=site.chain.multicall3),
    "both": lambda site: Multicalls(limited=site.chain.uniswap_multicall, unlimited=site.chain.multicall3),
    "nobody at the address": lambda site: Multicalls(limited=zoo.STRANGER, unlimited=site.chain.multicall3),
    "a token at the address": lambda site: Multicalls(limited=site.usdc, unlimited=site.chain.multicall3),
    "neither": lambda _: Multicalls(limited=None, unlimited=None),
}


class Counting:
    """A transport that counts the calls by whom they are made to."""

    def __init__(self, transport):
        self._transport, self.asked = transport, Counter()

    def __call__(self, body, timeout_s):
        for request in json.loads(body):
            if request["method"] == "eth_call":
                self.asked[bytes.fromhex(request["params"][0]["to"][2:])] += 1
        return self._transport(body, timeout_s)


@pytest.fixture(scope="module")
def site():
    anvil.required()
    with Anvil(42161, gas_limit=NODE_GAS) as node:
        yield deploy.build(node)


@pytest.fixture(scope="module")
def good(site):
    return {
        zoo.born(site.anvil, f"Good {n}", f"G{n}", n % 19): zoo.ok(f"G{n}", f"Good {n}", n % 19) for n in range(GOOD)
    }


@pytest.fixture(scope="module")
def evil(site):
    born = [(contracts.deploy(site.anvil, contracts.ours("odd_tokens", name)), zoo.ODD[name]) for name in EVIL]
    return dict(born)


@pytest.fixture(scope="module")
def odd(site):
    return zoo.zoo(site)


@pytest.fixture
def transport(site):
    return Counting(HttpTransport(site.anvil.url))


@pytest.fixture
def node(transport):
    return HttpNode("anvil", transport)


def mixed(good, evil):
    """The evil ones spread among the good ones, the first and the last place included."""
    tokens, step = list(good), GOOD // (len(evil) - 1)
    for number, token in enumerate(evil):
        tokens.insert(number * (step + 1), token)
    return tokens


@pytest.mark.parametrize("way", WAYS)
def test_every_token_is_described_as_if_it_were_alone(site, node, good, evil, odd, way):
    facts = {**odd, **good, **evil}
    tokens = mixed(good, evil) + list(odd)
    pin, multicalls = node.heads().latest.ref, WAYS[way](site)
    told = together(erc20.questions_of(tokens), lambda asked: ask_together(node, multicalls, asked, pin))
    for token, described in zip(tokens, told, strict=True):
        shown = {}
        for name in ("symbol", "name", "decimals"):
            field = getattr(described, name)
            value = field.number if name == "decimals" else field.text
            raw = None if field.raw is None else anvil.hexed(field.raw)
            shown |= {name: value, f"{name}_status": field.status, f"{name}_raw": raw}
        assert shown == zoo.row_of(site.anvil, token, facts[token])


def ask_symbols(site, node, tokens, way):
    pin = node.heads().latest.ref
    return ask_together(node, WAYS[way](site), [Call(to=token, data=erc20.SYMBOL) for token in tokens], pin)


def test_with_gas_limits_one_round_trip_tells_all_the_good_and_only_the_evil_are_asked_again(
    site, node, transport, good, evil
):
    tokens = mixed(good, evil)
    answers = dict(zip(tokens, ask_symbols(site, node, tokens, "with gas limits"), strict=True))
    assert transport.asked == {site.chain.uniswap_multicall: 1, **dict.fromkeys(evil, 1)}
    assert all(isinstance(answers[token], Reverted) for token in evil)
    assert all(answers[token] == Returned(site.anvil.read(token, erc20.SYMBOL)) for token in good)


def test_without_gas_limits_halving_isolates_the_evil_and_most_of_the_good_are_not_asked_alone(
    site, node, transport, good, evil
):
    tokens = [*evil, *good]
    answers = dict(zip(tokens, ask_symbols(site, node, tokens, "without gas limits"), strict=True))
    alone = [token for token in good if transport.asked[token]]
    assert all(transport.asked[token] == 1 for token in evil)
    assert len(alone) <= FEWEST_TOGETHER, "only neighbours in the smallest of the halves that failed"
    assert 1 < transport.asked[site.chain.multicall3] < GOOD
    assert all(answers[token] == Returned(site.anvil.read(token, erc20.SYMBOL)) for token in good)


def test_the_batch_of_evil_ones_fails_as_a_whole_where_nobody_isolates_them(site, evil):
    calls = [(token, erc20.SYMBOL) for token in evil]
    data = contracts.call_data("tryAggregate(bool,(address,bytes)[])", False, calls)
    with pytest.raises(anvil.Refused):
        site.anvil.read(site.chain.multicall3, data, gas=NODE_GAS)
