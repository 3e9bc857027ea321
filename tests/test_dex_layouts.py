"""Hot decoding against eth_abi: the same values out of well-formed logs, the same refusal of anything else."""

import dataclasses
from dataclasses import dataclass

import pytest
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from indexer.dex import ALL, BY_NAME
from indexer.errors import ProofMismatch, UndecodableLog
from indexer.model import NATIVE, Address, ChainId, Factory, Hash32, Log, PoolCreated

EMITTER = Address(b"\xfa" * 20)
INIT_HASH = Hash32(b"\x1c" * 32)
DEPLOYER = Address(b"\xde" * 20)
ZERO = "0x" + "00" * 20


@dataclass(frozen=True)
class Layout:
    """An event as Solidity declares it, where its arguments go, and what its CREATE2 salt is made of."""

    protocol: str
    declared: str
    goes_to: dict[str, str]
    salt: tuple[str, ...] = ()
    packed: bool = False
    nullable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.declared.split("(", maxsplit=1)[0]

    @property
    def arguments(self) -> list[tuple[str, str, bool]]:
        inside = self.declared.split("(", maxsplit=1)[1].rstrip(")")
        words = [argument.split() for argument in inside.split(", ")]
        return [(word[-1], word[0], "indexed" in word) for word in words]

    @property
    def topic0(self) -> Hash32:
        kinds = ",".join(kind for _, kind, _ in self.arguments)
        return Hash32(keccak(text=f"{self.name}({kinds})"))

    @property
    def kinds(self) -> dict[str, str]:
        return {name: kind for name, kind, _ in self.arguments}


V3 = "PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing, address pool)"
V3_TO = {"token0": "token0", "token1": "token1", "fee": "fee_ppm", "tickSpacing": "tick_spacing", "pool": "key"}
V2 = "PairCreated(address indexed token0, address indexed token1, address pair, uint256 count)"
PAIR_TO = {"token0": "token0", "token1": "token1", "pair": "key", "count": "pool_index"}
ALGEBRA = "Pool(address indexed token0, address indexed token1, address pool)"
ALGEBRA_TO = {"token0": "token0", "token1": "token1", "pool": "key"}

LAYOUTS = (
    Layout("uniswap_v1", "NewExchange(address indexed token, address indexed exchange)",
           {"token": "token1", "exchange": "key"}),
    Layout("uniswap_v2", V2, PAIR_TO, ("token0", "token1"), packed=True),
    Layout("uniswap_v3", V3, V3_TO, ("token0", "token1", "fee")),
    Layout("uniswap_v4", "Initialize(bytes32 indexed id, address indexed currency0, address indexed currency1,"
           " uint24 fee, int24 tickSpacing, address hooks, uint160 price, int24 tick)",
           {"id": "key", "currency0": "token0", "currency1": "token1", "fee": "fee_ppm", "tickSpacing": "tick_spacing",
            "hooks": "hooks"}, nullable=("currency0", "hooks")),
    Layout("algebra_v1", ALGEBRA, ALGEBRA_TO, ("token0", "token1")),
    Layout("algebra_v1_9", ALGEBRA, ALGEBRA_TO, ("token0", "token1")),
    Layout("algebra_integral", ALGEBRA, ALGEBRA_TO, ("token0", "token1")),
    Layout("algebra_integral", "CustomPool(address indexed deployer, address indexed token0, address indexed token1,"
           " address pool)", {**ALGEBRA_TO, "deployer": "deployer"}, ("deployer", "token0", "token1")),
    Layout("solidly", "PairCreated(address indexed token0, address indexed token1, bool stable, address pair,"
           " uint256 count)", {**PAIR_TO, "stable": "stable"}, ("token0", "token1", "stable"), packed=True),
    Layout("solidly", V2, PAIR_TO),
    Layout("solidly_v3", V3, V3_TO, ("token0", "token1", "tickSpacing")),
    Layout("kyber_elastic", V3, V3_TO, ("token0", "token1", "fee")),
    Layout("ramses_cl", V3, V3_TO, ("token0", "token1", "fee")),
    Layout("ramses_v3_cl", V3, V3_TO, ("token0", "token1", "fee")),
    Layout("ramses_v3_cl", "PoolCreated(address indexed token0, address indexed token1, int24 indexed tickSpacing,"
           " address pool)", {"token0": "token0", "token1": "token1", "tickSpacing": "tick_spacing", "pool": "key"}),
    Layout("lb", "LBPairCreated(address indexed tokenX, address indexed tokenY, uint256 indexed binStep,"
           " address LBPair, uint256 pid)",
           {"tokenX": "token0", "tokenY": "token1", "binStep": "bin_step", "LBPair": "key", "pid": "pool_index"}),
)  # fmt: skip

layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.protocol}-{layout.name}")


def factory(layout: Layout, init_code_hash: Hash32 | None = None) -> Factory:
    return Factory(
        chain_id=ChainId(1),
        address=EMITTER,
        dex="a_dex",
        protocol=layout.protocol,
        from_block=0,
        from_block_quality="configured",
        topics=(layout.topic0,),
        enabled=True,
        init_code_hash=init_code_hash,
        create2_deployer=DEPLOYER if init_code_hash else None,
    )


def written(layout: Layout, values: dict) -> Log:
    """The log that a contract writes: indexed arguments as topics, the others as data."""
    encoded = {name: abi_encode([kind], [values[name]]) for name, kind, _ in layout.arguments}
    topics = [Hash32(encoded[name]) for name, _, indexed in layout.arguments if indexed]
    data = b"".join(encoded[name] for name, _, indexed in layout.arguments if not indexed)
    return as_log([layout.topic0, *topics], data)


def as_log(topics, data) -> Log:
    return Log(
        block_number=1,
        block_hash=Hash32(bytes(32)),
        tx_hash=Hash32(bytes(32)),
        log_index=0,
        address=EMITTER,
        topics=tuple(topics),
        data=data,
    )


def values_of(layout: Layout) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({name: value_of(layout, name) for name in layout.kinds}).map(
        lambda values: {**values, "id": pool_id(values)} if layout.protocol == "uniswap_v4" else values
    )


def value_of(layout: Layout, name: str) -> st.SearchStrategy:
    kind = layout.kinds[name]
    if kind == "address":
        some = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
        return some if name in layout.nullable else some.filter(lambda text: text != ZERO)
    if name == "binStep":
        return st.integers(0, 2**16 - 1)
    if name in ("count", "pid"):
        return st.integers(0, 2**64)
    return {
        "bool": st.booleans(),
        "bytes32": st.just(bytes(32)),
        "uint24": st.one_of(st.integers(0, 2**24 - 1), st.just(0x800000)),
        "int24": st.integers(-(2**23), 2**23 - 1),
        "uint160": st.integers(0, 2**160 - 1),
    }[kind]


def pool_id(values: dict) -> bytes:
    kinds = ["address", "address", "uint24", "int24", "address"]
    return keccak(abi_encode(kinds, [values[key] for key in ("currency0", "currency1", "fee", "tickSpacing", "hooks")]))


def expected(layout: Layout, values: dict) -> dict:
    facts = {}
    for name, field in layout.goes_to.items():
        value = values[name]
        facts[field] = bytes.fromhex(value[2:]) if layout.kinds[name] == "address" else value
    if "pool_index" in facts:
        count = facts["pool_index"] + (layout.protocol == "lb")
        facts["pool_index"] = count if 0 < count < 2**63 else None
    if layout.protocol == "kyber_elastic":
        facts["fee_ppm"] *= 10
    if layout.protocol == "uniswap_v4" and facts["fee_ppm"] == 0x800000:
        facts["fee_ppm"] = None
    if layout.protocol == "uniswap_v1":
        facts["token0"] = NATIVE
    return facts


def decode(layout: Layout, log: Log, of: Factory) -> PoolCreated:
    return BY_NAME[layout.protocol].decoders[layout.topic0](log, of)


def test_the_layouts_cover_every_event_of_every_protocol():
    assert {(dex.name, topic) for dex in ALL for topic in dex.decoders} == {
        (layout.protocol, layout.topic0) for layout in LAYOUTS
    }


@layouts
@given(data=st.data())
def test_a_well_formed_log_decodes_to_the_values_it_was_made_of(layout, data):
    values = data.draw(values_of(layout))
    log = written(layout, values)
    pool = decode(layout, log, factory(layout))
    facts = expected(layout, values)
    assert {field: getattr(pool, field) for field in facts} == facts
    untouched = {"fee_ppm", "tick_spacing", "bin_step", "stable", "hooks", "deployer", "pool_index"} - set(facts)
    assert all(getattr(pool, field) is None for field in untouched)
    assert pool.proof == ("pool_key" if layout.protocol == "uniswap_v4" else "log")
    assert pool.log is log


@layouts
@given(data=st.data())
def test_a_fee_that_moves_is_no_number(layout, data):
    pool = decode(layout, written(layout, data.draw(values_of(layout))), factory(layout))
    assert pool.fee_kind != "dynamic" or pool.fee_ppm is None


@pytest.mark.parametrize(
    "layout", [layout for layout in LAYOUTS if layout.salt], ids=lambda layout: f"{layout.protocol}-{layout.name}"
)
@given(data=st.data())
def test_the_derived_address_is_proven_and_any_other_refused(layout, data):
    values = data.draw(values_of(layout))
    of = factory(layout, INIT_HASH)
    place = next(name for name, field in layout.goes_to.items() if field == "key")
    right = "0x" + keccak(b"\xff" + DEPLOYER + salt(layout, values) + INIT_HASH)[12:].hex()
    assert decode(layout, written(layout, {**values, place: right}), of).proof == "create2"
    if values[place] == right:
        return
    if (layout.protocol, layout.name) == ("algebra_integral", "Pool"):  # it may be a custom pool's: another log tells
        assert decode(layout, written(layout, values), of).proof == "log"
        return
    with pytest.raises(ProofMismatch):
        decode(layout, written(layout, values), of)


def salt(layout: Layout, values: dict) -> bytes:
    if not layout.packed:
        return keccak(abi_encode([layout.kinds[name] for name in layout.salt], [values[name] for name in layout.salt]))
    raw = [bytes([v]) if isinstance(v, bool) else bytes.fromhex(v[2:]) for v in map(values.get, layout.salt)]
    return keccak(b"".join(raw))


@layouts
@given(data=st.data())
def test_a_word_is_refused_exactly_where_the_abi_refuses_it(layout, data):
    """Each word of a good log is replaced by another one, clean or dirty."""
    good = written(layout, data.draw(values_of(layout)))
    names = [name for name, _, indexed in layout.arguments if indexed]
    names += [name for name, _, indexed in layout.arguments if not indexed]
    at = data.draw(st.integers(0, len(names) - 1))
    word = data.draw(
        st.one_of(
            st.binary(min_size=32, max_size=32),
            st.integers(-(2**24), 2**24).map(lambda value: value.to_bytes(32, "big", signed=True)),
            st.integers(0, 31).map(lambda bit: (1 << (8 * bit)).to_bytes(32, "big")),
        )
    )
    name = names[at]
    words = [*good.topics[1:], *(good.data[start : start + 32] for start in range(0, len(good.data), 32))]
    words[at] = Hash32(word)
    count = len(good.topics)
    log = as_log([good.topics[0], *words[: count - 1]], b"".join(words[count - 1 :]))
    refused = not readable(layout, name, word)
    try:
        decode(layout, log, factory(layout))
    except UndecodableLog:
        assert refused
    except ProofMismatch:
        assert layout.protocol == "uniswap_v4"
        assert not refused
    else:
        assert not refused


def readable(layout: Layout, name: str, word: bytes) -> bool:
    try:
        (value,) = abi_decode([layout.kinds[name]], word)
    except DecodingError:
        return False
    if layout.kinds[name] == "address":
        return value != ZERO or name in layout.nullable
    return name != "binStep" or value < 2**16


@layouts
@given(topics=st.lists(st.binary(min_size=32, max_size=32), max_size=5), data=st.binary(max_size=200))
def test_garbage_is_undecodable_and_nothing_worse(layout, topics, data):
    with pytest.raises(UndecodableLog):
        decode(layout, as_log([layout.topic0, *topics], b"\xff" + data), factory(layout))


@layouts
@given(data=st.data())
def test_a_log_cut_or_grown_is_undecodable(layout, data):
    good = written(layout, data.draw(values_of(layout)))
    size = data.draw(st.integers(0, len(good.data) + 65).filter(lambda size: size != len(good.data)))
    cut = dataclasses.replace(good, data=(good.data + bytes(65))[:size])
    with pytest.raises(UndecodableLog):
        decode(layout, cut, factory(layout))


def test_a_fork_with_a_fee_that_moves_tells_no_number_of_its_event():
    (layout,) = [layout for layout in LAYOUTS if layout.protocol == "uniswap_v3"]
    log = written(layout, {"token0": "0x" + "01" * 20, "token1": "0x" + "02" * 20, "fee": 500, "tickSpacing": 10,
                           "pool": "0x" + "03" * 20})  # fmt: skip
    for kind, fee_ppm in (("fixed", 500), ("mutable", 500), ("unknown", 500), ("dynamic", None)):
        pool = decode(layout, log, dataclasses.replace(factory(layout), fee_kind=kind))
        assert (pool.fee_kind, pool.fee_ppm) == (kind, fee_ppm)
