"""One endpoint: replies matched by id, logs checked, headers around them, answers at a pinned block."""

import random

import orjson
import pytest

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    FilterTooLarge,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RateLimited,
    TimedOut,
    TooManyBlocks,
    TooManyLogs,
)
from indexer.model import Address, BlockRef, Call, CodeOf, Hash32, LogFilter, Returned, Reverted
from indexer.wire.node import HttpNode

FACTORY = Address(b"\xfa" * 20)
TOPIC = Hash32(b"\x70" * 32)
WANTED = LogFilter(addresses=(FACTORY,), topics=(TOPIC,))


def block_hash(number):
    return Hash32(number.to_bytes(32, "big"))


def block(number):
    parent = block_hash(number - 1) if number else bytes(32)
    return {
        "number": hex(number),
        "hash": "0x" + block_hash(number).hex(),
        "parentHash": "0x" + parent.hex(),
        "timestamp": hex(1_700_000_000 + 12 * number),
    }


def a_log(number, index=0, **changes):
    return {
        "address": "0x" + FACTORY.hex(),
        "topics": ["0x" + TOPIC.hex()],
        "data": "0x00ff",
        "blockNumber": hex(number),
        "blockHash": "0x" + block_hash(number).hex(),
        "transactionHash": "0x" + "11" * 32,
        "transactionIndex": "0x0",
        "logIndex": hex(index),
        "removed": False,
    } | changes


class Endpoint:
    """A transport: answers every request of a body; a test changes what it needs."""

    def __init__(self):
        self.latest, self.finalized = 100, 90
        self.logs = []
        self.bodies = []
        self.answers = {}  # method -> result, or {"error": ...}, or a callable of params
        self.reshape = lambda replies: replies

    def __call__(self, body, _timeout_s):
        told = orjson.loads(body)
        self.bodies.append(told)
        if isinstance(told, dict):
            return orjson.dumps(self._reply(told))
        return orjson.dumps(self.reshape([self._reply(one) for one in told]))

    def _reply(self, request):
        method, params = request["method"], request["params"]
        answer = self.answers.get(method, getattr(self, method, None))
        answer = answer(*params) if callable(answer) else answer
        body = answer if isinstance(answer, dict) and "error" in answer else {"result": answer}
        return {"jsonrpc": "2.0", "id": request["id"], **body}

    def eth_chainId(self):  # noqa: N802  # the method's own name
        return "0x1"

    def eth_getLogs(self, _asked):  # noqa: N802
        return self.logs

    def eth_getBlockByNumber(self, number, _full):  # noqa: N802
        tags = {"latest": self.latest, "safe": self.finalized, "finalized": self.finalized}
        number = tags[number] if number in tags else int(number, 16)
        return block(number) if number is not None and number <= self.latest else None


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def node(endpoint):
    return HttpNode("test.example", endpoint)


def fail(code, message):
    return {"error": {"code": code, "message": message}}


def test_replies_are_matched_by_id_in_whatever_order_they_come(node, endpoint):
    endpoint.reshape = lambda replies: random.Random(7).sample(replies, len(replies))
    assert [header.number for header in node.headers(range(40))] == list(range(40))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda replies: replies[:-1],
        lambda replies: [*replies[:-1], replies[0]],
        lambda replies: [*replies, replies[0]],
        lambda replies: [*replies[:-1], replies[-1] | {"id": 999}],
        lambda replies: [*replies[:-1], replies[-1] | {"id": str(replies[-1]["id"])}],
        lambda replies: [*replies[:-1], None],
        lambda _: {"jsonrpc": "2.0", "result": "0x1"},
        lambda _: "busy",
        lambda _: None,
        lambda _: [],
    ],
    ids=["missing", "doubled", "more", "unknown", "text-id", "null", "object", "text", "nothing", "empty"],
)
def test_replies_that_do_not_fit_the_requests_are_a_bad_answer(node, endpoint, reshape):
    endpoint.reshape = reshape
    with pytest.raises(BadAnswer):
        node.heads()


def test_one_error_for_the_whole_batch_is_that_error(node, endpoint):
    endpoint.reshape = lambda _: {"jsonrpc": "2.0", "id": None, **fail(-32005, "Too many requests")}
    with pytest.raises(RateLimited):
        node.heads()
    endpoint.reshape = lambda _: [{"jsonrpc": "2.0", "id": None, **fail(-32000, "internal server error")}]
    with pytest.raises(NodeUnavailable):
        node.heads()


def test_bytes_that_are_not_json_are_no_answer_at_all():
    with pytest.raises(NodeUnavailable, match="not JSON"):
        HttpNode("test.example", lambda _body, _timeout_s: b"<html>busy</html>").heads()


def test_a_refused_batch_is_halved_down_to_single_requests(node, endpoint):
    def refuse(_):
        return fail(-32600, "batch requests are not supported") | {"id": None}

    endpoint.reshape = refuse
    assert [header.number for header in node.headers([1, 2, 3, 4])] == [1, 2, 3, 4]
    assert isinstance(endpoint.bodies[-1], dict)
    assert node.heads().latest.number == 100


def test_a_batch_that_is_refused_in_the_name_of_its_first_request_is_halved_too(node, endpoint):
    def refuse_as_geth(replies):
        if len(replies) <= 2:
            return replies
        return [fail(-32600, "batch too large") | {"id": replies[0]["id"]}]

    endpoint.reshape = refuse_as_geth
    assert [header.number for header in node.headers(list(range(1, 9)))] == list(range(1, 9))


def test_heads_are_read_in_one_batch_and_an_unknown_tag_is_none(node, endpoint):
    heads = node.heads()
    assert (heads.latest.number, heads.finalized.number) == (100, 90)
    assert len(endpoint.bodies) == 1

    def no_tags(tag, _full):
        return block(100) if tag == "latest" else fail(-32602, "invalid argument 0: unknown tag")

    endpoint.answers["eth_getBlockByNumber"] = no_tags
    assert HttpNode("other.example", endpoint).heads().finalized is None
    with pytest.raises(MissingData, match="safe"):
        node.heads()  # it knew the tag before: its absence is lag, and no reason to guess a depth


def test_a_rate_limit_for_one_tag_is_not_an_unknown_tag(node, endpoint):
    endpoint.answers["eth_getBlockByNumber"] = lambda tag, _: block(100) if tag == "latest" else fail(429, "slow down")
    with pytest.raises(RateLimited):
        node.heads()


def test_a_finalized_block_above_the_latest_is_a_bad_answer(node, endpoint):
    endpoint.answers["eth_getBlockByNumber"] = lambda tag, _: block({"latest": 5}.get(tag, 9))
    with pytest.raises(BadAnswer, match="finalized"):
        node.heads()


def test_headers_keep_the_order_and_null_is_none(node):
    found = node.headers([101, 7, 100])
    assert [header and header.number for header in found] == [None, 7, 100]
    assert node.headers([]) == []


@pytest.mark.parametrize(
    "answer",
    [{}, "0x", 5, block(8), block(7) | {"hash": "0x12"}, block(7) | {"timestamp": 5}, block(7) | {"number": "7"}],
)
def test_a_block_of_another_number_or_shape_is_a_bad_answer(node, endpoint, answer):
    endpoint.answers["eth_getBlockByNumber"] = answer
    with pytest.raises(BadAnswer):
        node.headers([7])


def test_a_window_is_one_batch_of_logs_and_the_headers_around_them(node, endpoint):
    endpoint.logs = [a_log(12, 3, blockTimestamp="0x6553f100"), a_log(11, 9), a_log(12, 1)]
    window = node.window(11, 20, WANTED)
    assert [(log.block_number, log.log_index) for log in window.logs] == [(11, 9), (12, 1), (12, 3)]
    assert window.logs[2].timestamp_s == 0x6553F100
    assert window.logs[0].timestamp_s is None
    assert window.logs[0].data == b"\x00\xff"
    assert (window.before.number, window.last.number, window.finalized.number) == (10, 20, 90)
    assert window.faults == ()
    assert len(endpoint.bodies) == 1
    assert endpoint.bodies[0][0]["params"] == [
        {
            "fromBlock": "0xb",
            "toBlock": "0x14",
            "address": ["0x" + FACTORY.hex()],
            "topics": [["0x" + TOPIC.hex()]],
        }
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (a_log(10), "range"),
        (a_log(21), "range"),
        (a_log(15, address="0x" + "aa" * 20), "address"),
        (a_log(15, address="0xaa"), "address"),
        (a_log(15, topics=[]), "topic"),
        (a_log(15, topics=["0x" + "bb" * 32]), "topic"),
        (a_log(15, topics=["0x" + TOPIC.hex()] * 5), "topics"),
        (a_log(15, topics=None), "topics"),
        (a_log(15, removed=True), "removed"),
        (a_log(15, data="0xabc"), "data"),
        (a_log(15, data="0x a"), "data"),
        (a_log(15, data=None), "data"),
        (a_log(15, blockNumber=15), "block number"),
        (a_log(15, blockNumber=None), "block number"),
        (a_log(15, blockHash="0x12"), "block hash"),
        (a_log(15, logIndex="0xfffffffffffffff0"), "index"),
        (a_log(15, logIndex="-0x1"), "index"),
        (a_log(12), "twice"),
        (None, "object"),
        ("0x", "object"),
    ],
)
def test_a_log_that_was_not_asked_for_or_is_no_log_is_a_fault_and_harms_no_other(node, endpoint, bad, reason):
    endpoint.logs = [a_log(12), bad]
    window = node.window(11, 20, WANTED)
    assert [log.block_number for log in window.logs] == [12]
    assert len(window.faults) == 1
    assert reason in window.faults[0].reason


def test_a_long_fault_is_cut(node, endpoint):
    endpoint.logs = [a_log(15, removed=True, data="0x" + "00" * 5_000)] * 300
    window = node.window(11, 20, WANTED)
    assert len(window.faults) == 100
    assert len(window.faults[0].excerpt) == 1_000


def test_two_different_logs_at_one_place_are_a_contradiction(node, endpoint):
    endpoint.logs = [a_log(12), a_log(12, data="0x01")]
    with pytest.raises(BadAnswer, match="two different logs"):
        node.window(11, 20, WANTED)


@pytest.mark.parametrize("number", [12, 20])
def test_logs_of_another_branch_than_the_headers_mean_that_the_chain_moved(node, endpoint, number):
    endpoint.logs = [a_log(12, 1), a_log(number, 2, blockHash="0x" + "ee" * 32)]
    with pytest.raises(MissingData, match="moved"):
        node.window(11, 20, WANTED)


def test_a_window_beyond_the_head_is_missing_even_where_the_logs_are_an_empty_list(node):
    with pytest.raises(MissingData):
        node.window(99, 101, WANTED)


def test_a_window_from_block_zero_has_a_made_up_block_before_it(node, endpoint):
    endpoint.logs = [a_log(0)]
    window = node.window(0, 5, WANTED)
    assert window.before.number == -1
    assert window.before.timestamp_s == window.last.timestamp_s - 60
    assert len(window.logs) == 1


def test_null_instead_of_logs_is_a_bad_answer(node, endpoint):
    endpoint.logs = None
    with pytest.raises(BadAnswer):
        node.window(11, 20, WANTED)


def test_refusals_of_the_range_are_raised_with_what_they_teach(node, endpoint):
    endpoint.answers["eth_getLogs"] = fail(-32614, "eth_getLogs is limited to a 10,000 range")
    with pytest.raises(TooManyBlocks) as refused:
        node.window(1, 20, WANTED)
    assert refused.value.cap == 10_000
    endpoint.answers["eth_getLogs"] = fail(-32005, "Try with this block range [0x1, 0x5].")
    with pytest.raises(TooManyLogs) as refused:
        node.window(1, 20, WANTED)
    assert refused.value.last == 5


def test_a_filter_that_is_too_wide_is_asked_in_parts_of_the_same_batch(node, endpoint):
    addresses = tuple(Address(bytes([at]) * 20) for at in range(1, 11))

    def logs(asked):
        if len(asked["address"]) > 3:
            return fail(-32602, "exceed max addresses or topics per search position")
        return [a_log(12, int(asked["address"][0][2:4], 16), address=asked["address"][0])]

    endpoint.answers["eth_getLogs"] = logs
    window = node.window(11, 20, LogFilter(addresses=addresses, topics=(TOPIC,)))
    assert len(window.logs) == 5
    assert len(endpoint.bodies[-1]) == 5 + 3
    before = len(endpoint.bodies)
    node.window(11, 20, LogFilter(addresses=addresses, topics=(TOPIC,)))
    assert len(endpoint.bodies) == before + 1  # remembered


def test_a_filter_of_one_address_and_one_topic_cannot_be_split(node, endpoint):
    endpoint.answers["eth_getLogs"] = fail(-32602, "exceed max addresses or topics per search position")
    with pytest.raises(FilterTooLarge):
        node.window(11, 20, WANTED)


def test_a_slow_or_huge_window_of_a_living_endpoint_was_too_large(endpoint):
    class Slow:
        error = TimedOut("no whole answer within 20 s")
        dead = False

        def __call__(self, body, _timeout_s):
            if self.dead or b"eth_getLogs" in body:
                raise self.error
            return endpoint(body, _timeout_s)

    slow = Slow()
    node = HttpNode("test.example", slow)
    with pytest.raises(TooManyLogs):
        node.window(11, 20, WANTED)
    with pytest.raises(TimedOut):
        node.window(11, 11, WANTED)
    slow.dead = True
    with pytest.raises(TimedOut):
        node.window(11, 20, WANTED)
    slow.error = AnswerTooLarge("the answer is larger than 5 bytes")
    with pytest.raises(TooManyLogs):
        node.window(11, 20, WANTED)


PIN = BlockRef(number=50, hash=block_hash(50))
QUESTIONS = (Call(to=FACTORY, data=b"\x01", gas=500_000), CodeOf(address=FACTORY), Call(to=FACTORY, data=b"\x02"))


def test_questions_are_asked_at_the_pinned_hash_and_answered_in_order(node, endpoint):
    endpoint.answers["eth_call"] = lambda call, _: call["data"] if "gas" in call else fail(3, "execution reverted")
    endpoint.answers["eth_getCode"] = "0x60"
    answers = node.ask(QUESTIONS, PIN)
    assert answers[0] == Returned(b"\x01")
    assert answers[1] == Returned(b"\x60")
    assert isinstance(answers[2], Reverted)
    at = {"blockHash": "0x" + PIN.hash.hex(), "requireCanonical": True}
    assert all(request["params"][1] == at for request in endpoint.bodies[0])
    assert endpoint.bodies[0][0]["params"][0]["gas"] == hex(500_000)
    assert node.ask((), PIN) == []


def test_a_pin_that_is_gone_is_missing(node, endpoint):
    endpoint.answers["eth_call"] = fail(-32000, "header for hash not found")
    with pytest.raises(MissingData):
        node.ask(QUESTIONS[:1], PIN)


def by_number_only(_call, at):
    return fail(-32602, "invalid argument 1: json: cannot unmarshal object") if isinstance(at, dict) else "0x07"


def test_an_endpoint_without_eip_1898_is_asked_by_number_between_two_looks_at_the_hash(node, endpoint):
    endpoint.answers["eth_call"] = by_number_only
    assert node.ask(QUESTIONS[:1], PIN) == [Returned(b"\x07")]
    assert node.ask(QUESTIONS[:1], PIN) == [Returned(b"\x07")]
    methods = [[one["method"] for one in body] for body in endpoint.bodies]
    assert methods == [
        ["eth_call"],
        ["eth_getBlockByNumber", "eth_call"],
        ["eth_getBlockByNumber"],
        ["eth_getBlockByNumber", "eth_call"],
        ["eth_getBlockByNumber"],
    ]


def test_by_number_another_hash_at_the_pin_is_missing_data(node, endpoint):
    endpoint.answers["eth_call"] = by_number_only
    with pytest.raises(MissingData):
        node.ask(QUESTIONS[:1], BlockRef(number=50, hash=Hash32(b"\x01" * 32)))
    looks = iter([block(50), block(50) | {"hash": "0x" + "ee" * 32}])
    endpoint.answers["eth_getBlockByNumber"] = lambda *_: next(looks)
    with pytest.raises(MissingData):
        node.ask(QUESTIONS[:1], PIN)


@pytest.mark.parametrize("answer", [None, 5, "07", "0x0g", "0x0", {}, []])
def test_an_answer_of_a_call_that_is_no_hex_is_a_bad_answer(node, endpoint, answer):
    endpoint.answers["eth_call"] = answer
    with pytest.raises(BadAnswer):
        node.ask(QUESTIONS[:1], PIN)


def test_a_node_in_trouble_is_never_an_answer(node, endpoint):
    for error, kind in (
        (fail(-32603, "Internal JSON-RPC error."), NodeUnavailable),
        (fail(429, "compute units"), RateLimited),
        (fail(-32601, "the method eth_call does not exist/is not available"), MethodOff),
        (fail(-32000, "execution aborted (timeout = 5s)"), NodeUnavailable),
    ):
        endpoint.answers["eth_call"] = error
        with pytest.raises(kind):
            node.ask(QUESTIONS[:1], PIN)


def test_a_call_too_heavy_for_the_endpoints_own_cap_may_be_halved(node, endpoint):
    endpoint.answers["eth_call"] = fail(-32000, "execution aborted (timeout = 5s)")
    assert isinstance(node.ask(QUESTIONS[2:], PIN)[0], Reverted)


def test_the_chain_is_known_by_its_id_and_its_genesis(node, endpoint):
    assert node.chain_identity() == (1, block_hash(0))
    endpoint.answers["eth_getBlockByNumber"] = None
    with pytest.raises(MissingData):
        node.chain_identity()
