"""What providers were seen to say, and what we read it as."""

import json
from pathlib import Path

import pytest

from indexer import errors
from indexer.model import Reverted
from indexer.wire.classify import Asked, classify

MEANINGS = {
    "range_limit": {errors.TooManyBlocks},
    "result_limit": {errors.TooManyLogs},
    "response_size": {errors.TooManyLogs},
    "address_limit": {errors.FilterTooLarge},
    "rate_limit": {errors.RateLimited},
    "quota_exhausted": {errors.RateLimited},
    "method_disabled": {errors.MethodOff},
    "auth": {errors.NodeUnavailable},
    "missing_state": {errors.MissingData},
    "pruned": {errors.MissingData},
    "node_bug": {errors.MissingData},
    "not_found": {errors.MissingData},
    "future_block": {errors.MissingData},
    "server_error": {errors.NodeUnavailable},
    "server_overloaded": {errors.NodeUnavailable},
    "malformed_error": {errors.NodeUnavailable},
}
BEHAVIOURS = {"silent_empty", "silent_partial", "hang"}  # nothing is said there: other tests


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, object]]:
    path = Path(__file__).parents[1].parent / "shared" / "data" / "rpc-errors" / "rpc_errors.json"
    if not path.exists():
        pytest.skip("the corpus is not beside this checkout")
    return json.loads(path.read_text())


def _error_of(row) -> object:
    if row["meaning"] == "malformed_error":
        return row["message"]
    return {key: row[key] for key in ("code", "message", "data") if row[key] is not None}


@pytest.mark.shared
def test_every_error_of_the_corpus_is_read_as_what_it_means(corpus):
    wrong = []
    for row in corpus:
        if row["meaning"] in BEHAVIOURS:
            continue
        method = row["method"] if row["method"].startswith("eth_") and "/" not in row["method"] else "eth_getLogs"
        for asked in {method, "eth_getLogs" if row["meaning"].endswith("limit") else "eth_call"}:
            read = classify(_error_of(row), Asked(method=asked))
            if type(read) not in MEANINGS[row["meaning"]]:
                wrong.append((row["provider"], asked, row["message"], row["meaning"], type(read).__name__))
    assert wrong == []


@pytest.mark.shared
def test_every_cap_named_in_the_corpus_is_read(corpus):
    wrong = []
    for row in corpus:
        told = str(row["suggested_range"] or "").split(" ")[0].replace(",", "").replace("k", "000")
        if row["meaning"] == "range_limit" and told.isdigit():
            read = classify(_error_of(row), Asked(method="eth_getLogs"))
            if read.cap != int(told):
                wrong.append((row["message"], told, read.cap))
    assert wrong == []


def test_a_cap_and_a_suggestion_together_are_a_cap():
    text = "You can make eth_getLogs requests with up to a 500 block range. "
    text += "Based on your parameters, this block range should work: [0x7e9b85, 0x7e9d78]"
    read = classify({"code": -32600, "message": text}, Asked(method="eth_getLogs", first=0x7E9B85, last=0x7F0000))
    assert isinstance(read, errors.TooManyBlocks)
    assert read.cap == 500


def test_a_suggestion_is_taken_only_where_it_is_smaller_and_begins_where_we_began():
    text = "query exceeds max results 20000, retry with the range 6000000-6000509"

    def last(first, last):
        return classify({"code": -32602, "message": text}, Asked(method="eth_getLogs", first=first, last=last)).last

    assert last(6_000_000, 6_002_000) == 6_000_509
    assert last(6_000_000, 6_000_509) is None  # the very range that was refused
    assert last(5_999_999, 6_002_000) is None
    inverted = "Query returned more than 10000 results. Try with this block range [0x20, 0x10]."
    read = classify({"message": inverted}, Asked(method="eth_getLogs", first=0x20, last=0x40))
    assert isinstance(read, errors.TooManyLogs)
    assert read.last is None


def test_a_range_cap_that_advertises_a_plan_is_still_a_range_cap():
    text = "eth_getLogs is limited to a 5 range, upgrade your plan at the billing page"
    read = classify({"code": -32614, "message": text}, Asked(method="eth_getLogs"))
    assert isinstance(read, errors.TooManyBlocks)
    assert read.cap == 5


def test_an_exhausted_quota_pauses_for_long_and_a_burst_does_not():
    quota = classify({"code": 429, "message": "Monthly capacity limit exceeded."}, Asked(method="eth_call"))
    burst = classify({"code": 429, "message": "exceeded its compute units per second capacity"}, Asked(method="x"))
    assert quota.retry_after_s >= 600
    assert burst.retry_after_s is None


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted", "data": "0x08c379a0"},
        {"code": 3, "message": "execution reverted: Dai/insufficient-balance", "data": "0x08c379a0"},
        {"code": -32000, "message": "out of gas"},
        {"code": -32003, "message": "EVM error: OutOfGas"},
        {"code": -32603, "message": "EVM error OutOfGas"},
        {"code": -32603, "message": "EVM error InvalidFEOpcode"},
        {"code": 3, "message": "execution reverted: rate limit, timeout"},
        {"code": -32000, "message": "invalid opcode: INVALID"},
        {"code": -32000, "message": "opcode 0xfe not defined"},
        {"code": -32000, "message": "stack underflow (0 <=> 2)"},
        {"code": -32000, "message": "invalid jump destination"},
        {"code": -32000, "message": "write protection"},
        {"code": -32000, "message": "gas uint64 overflow"},
        {"code": -32015, "message": "VM execution error.", "data": "Reverted 0x"},
        {"code": -32000, "message": "err: intrinsic gas too low: have 0, want 21000 (supplied gas 0)"},
    ],
)
def test_a_failure_inside_the_chain_is_an_answer_of_a_call_and_of_nothing_else(error):
    assert isinstance(classify(error, Asked(method="eth_call")), Reverted)
    assert isinstance(classify(error, Asked(method="eth_getLogs")), errors.GazetteerError)


def test_what_a_revert_carries_is_kept():
    plain = classify({"code": 3, "message": "execution reverted", "data": "0x08c379a0"}, Asked(method="eth_call"))
    parity = classify(
        {"code": -32015, "message": "VM execution error.", "data": "Reverted 0xabcd1"}, Asked(method="eth_call")
    )
    assert plain.data == bytes.fromhex("08c379a0")
    assert parity.data == bytes.fromhex("abcd")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": -32000, "message": "execution aborted (timeout = 5s)"}, errors.NodeUnavailable),
        ({"code": -32603, "message": "EVM error: Database(MissingAccount)"}, errors.NodeUnavailable),
        ({"code": -32601, "message": "the method eth_foo does not exist/is not available"}, errors.MethodOff),
        ({"code": -32000, "message": "hash 0xabc is not currently canonical"}, errors.MissingData),
        ({"code": -32005, "message": None}, errors.RateLimited),
        ("some text", errors.NodeUnavailable),
        (None, errors.NodeUnavailable),
        ([], errors.NodeUnavailable),
        ({"code": True, "message": {"a": 1}, "data": [1]}, errors.NodeUnavailable),
    ],
)
def test_odd_shapes_are_read_too(error, kind):
    assert type(classify(error, Asked(method="eth_call"))) is kind


def test_a_slow_query_of_logs_was_too_large():
    read = classify({"code": -32000, "message": "query timeout exceeded"}, Asked(method="eth_getLogs"))
    assert type(read) is errors.TooManyLogs
