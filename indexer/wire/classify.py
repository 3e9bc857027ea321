"""A JSON-RPC error object, read as one of our errors.

The text decides before the code: codes mean what each provider likes (-32005 alone is a rate limit, a size limit
and a method that is switched off). Texts were seen at Alchemy, Ankr, Arbitrum, Avalanche, Base, Blast, BlockPI,
Chainstack, Cloudflare, Coinbase, dRPC, Infura, LlamaNodes, Merkle, Polygon, PublicNode, QuickNode, Sei, thirdweb,
zkSync and 1RPC, and at geth, reth, erigon, nethermind, besu, anvil and nitro.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from indexer.errors import (
    BadAnswer,
    FilterTooLarge,
    GazetteerError,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RateLimited,
    TooManyBlocks,
    TooManyLogs,
)
from indexer.model import Reverted
from indexer.wire.redact import redacted

GET_LOGS = "eth_getLogs"
CALL = "eth_call"
QUOTA_PAUSE_S = 3600.0
MOST_TEXT = 4_000
LARGEST_CAP = 100_000_000

EXECUTION_ERROR = 3
HTTP_TOO_MANY = 429
PRUNED_HISTORY = 4444
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
NETHERMIND_EXECUTION = -32015
RATE_LIMITED_CODES = frozenset({HTTP_TOO_MANY, -32005, -32007, -32012})


class NotUnderstood(BadAnswer):
    """The endpoint did not understand the parameters."""


class BatchRefused(BadAnswer):
    """The endpoint does not take batches, or not of this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the error answers: the method and, for eth_getLogs, the range."""

    method: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    code: int | None
    text: str
    shown: str
    asked: Asked


def classify(error: object, asked: Asked) -> GazetteerError | Reverted:
    """The error to raise, or, for a call that failed inside the chain, its answer. Never raises."""
    said = _said(error, asked)
    if asked.method == CALL:
        reverted = _reverted(error, said)
        if reverted is not None:
            return reverted
    for pattern, make in _RULES:
        if pattern.search(said.text):
            return make(said)
    return _by_code(said)


def _said(error: object, asked: Asked) -> _Said:
    if not isinstance(error, dict):
        text = error if isinstance(error, str) else _json(error)
        return _Said(None, text[:MOST_TEXT], redacted(text[:MOST_TEXT]), asked)
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    told = error.get("message")
    message = (told if isinstance(told, str) else _json(told) if told is not None else "")[:MOST_TEXT]
    more = error.get("data")
    text = f"{message} {more if isinstance(more, str) else _json(more)}" if more is not None else message
    return _Said(code, text[: 2 * MOST_TEXT], f"{redacted(message)} (code {code})", asked)


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return ""


_SERVER_TROUBLE = re.compile(r"rpc request failed|internal error|timed? ?out|timeout|aborted", re.IGNORECASE)
_REVERT = re.compile(
    r"revert|out ?of ?gas|gas uint64 overflow|(invalid|bad|undefined) (opcode|instruction|jump)"
    r"|opcode 0x\w+ not defined|stack ?(underflow|overflow|limit reached)|write protection"
    r"|return ?data out of bounds|call depth|vm execution error"
    r"|evm error(?!:? ?(database|header|custom|transaction))|invalidfeopcode|statechangeduringstaticcall"
    r"|memorylimit|gas required exceeds|intrinsic gas too low|execution halted",
    re.IGNORECASE,
)


def _reverted(error: object, said: _Said) -> Reverted | None:
    """Failures inside the EVM are answers: the same on every node, and no fault of this one."""
    by_code = said.code in (EXECUTION_ERROR, NETHERMIND_EXECUTION) and not _SERVER_TROUBLE.search(said.text)
    if not by_code and not _REVERT.search(said.text):
        return None
    return Reverted(said.shown, _revert_data(error))


def _revert_data(error: object) -> bytes:
    data = error.get("data") if isinstance(error, dict) else None
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    found = re.search(r"0x([0-9a-fA-F]*)", data) if isinstance(data, str) else None
    digits = found.group(1) if found else ""
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


_HEX_RANGE = re.compile(r"\[\s*(0x[0-9a-f]+)\s*,\s*(0x[0-9a-f]+)\s*\]", re.IGNORECASE)
_PLAIN_RANGE = re.compile(r"retry with the range (\d+)\s*-\s*(\d+)", re.IGNORECASE)
_NUMBER = r"(\d[\d,._]*\s?[km]?)\b"
_CAPS = tuple(
    re.compile(pattern.replace("#", _NUMBER), re.IGNORECASE)
    for pattern in (
        r"up to (?:a|an) # block",
        r"limited to (?:a |an )?# (?:blocks? )?range",
        r"limited to (?:a |an )?# blocks?",
        r"range for your plan \(\d+ > #\)",
        r"allowed for your plan \(\d+ > #\)",
        r"\(\d+ > #\)",
        r"max(?:imum)?(?: is| allowed is| is set to|:| block range:?| range:?| allowed:?) ?#",
        r"(?:number of requested blocks is|blocks distance:|at most|greater than|range exceeds|exceeds? limit of) ?#",
        r"ranges over # blocks",
        r"exceeds? max(?:imum)? block range:? #",
        r"#[ -]blocks? (?:range )?(?:limit|max)",
    )
)
_MULTIPLES = {"k": 1_000, "m": 1_000_000}


def _cap(text: str) -> int | None:
    """The span in blocks that the text allows; the smallest plausible reading."""
    for pattern in _CAPS:
        found = pattern.search(text)
        if found:
            number = found.group(1).strip().lower()
            multiple = _MULTIPLES.get(number[-1], 1)
            digits = re.sub(r"\D", "", number)
            cap = int(digits[:12]) * multiple if digits else 0
            return cap if 0 < cap <= LARGEST_CAP else None
    return None


def _blocks(said: _Said) -> TooManyBlocks:
    cap = _cap(said.text)
    if cap is None and (last := _suggested(said)) is not None and said.asked.first is not None:
        cap = last - said.asked.first + 1
    return TooManyBlocks(said.shown, cap=cap)


def _logs(said: _Said) -> TooManyLogs:
    return TooManyLogs(said.shown, last=_suggested(said))


def _suggested(said: _Said) -> int | None:
    """The end of the range that is said to work, if it begins where we began and is smaller than what was asked.

    Providers were seen to suggest inverted ranges, and the very range that they had just refused.
    """
    found, radix = _HEX_RANGE.search(said.text), 16
    if found is None:
        found, radix = _PLAIN_RANGE.search(said.text), 10
    if found is None:
        return None
    first, last = (int(number[:24], radix) for number in found.groups())
    if said.asked.first is None or said.asked.last is None:
        return last if first <= last else None
    return last if first == said.asked.first and first <= last < said.asked.last else None


def _quota(said: _Said) -> RateLimited:
    return RateLimited(said.shown, retry_after_s=QUOTA_PAUSE_S)


def _rate(said: _Said) -> RateLimited:
    return RateLimited(said.shown)


def _filter(said: _Said) -> FilterTooLarge:
    return FilterTooLarge(said.shown)


def _missing(said: _Said) -> MissingData:
    return MissingData(said.shown)


def _unavailable(said: _Said) -> NodeUnavailable:
    return NodeUnavailable(said.shown)


def _off(said: _Said) -> MethodOff:
    return MethodOff(f"{said.asked.method} is off here: {said.shown}")


def _batch(said: _Said) -> BatchRefused:
    return BatchRefused(said.shown)


def _unclear(said: _Said) -> NotUnderstood:
    return NotUnderstood(said.shown)


def _slow(said: _Said) -> GazetteerError:
    return TooManyLogs(said.shown) if said.asked.method == GET_LOGS else NodeUnavailable(said.shown)


def _rule(
    make: Callable[[_Said], GazetteerError], *patterns: str
) -> tuple[re.Pattern[str], Callable[[_Said], GazetteerError]]:
    return re.compile("|".join(patterns), re.IGNORECASE), make


# In this order: the first that matches decides.
_RULES = (
    _rule(
        _filter,
        r"addresses or topics per search",
        r"specify less number of address",
        r"contains \d+ filters",
        r"too many (addresses|topics)",
    ),
    _rule(
        _blocks,
        r"up to (a|an) [\d,.]+k? block",
        r"limited to (a |an )?[\d,._]+\s?[km]? ?(blocks?)? ?range",
        r"limited to (a |an )?[\d,._]+\s?[km]? blocks?",
        r"range allowed for your plan",
        r"max range",
        r"block range (limit|is too|too|greater|exceeds|should)(?! work)",
        r"max(imum)? block range",
        r"range is too (large|wide)",
        r"range too (large|wide)",
        r"limit the query to at most",
        r"number of requested blocks",
        r"requested too many blocks",
        r"blocks distance",
        r"ranges over \d+ blocks",
        r"range \d+ exceeds limit",
        r"exceeds? (the )?(max|limit|allowed).{0,20} (block )?range",
        r"too many blocks",
    ),
    _rule(_quota, r"monthly", r"quota", r"billing", r"upgrade your (tier|plan|scaling)", r"daily (request|limit)"),
    _rule(
        _rate,
        r"too many requests",
        r"rate.?limit",
        r"compute units",
        r"credits limited",
        r"request limit",
        r"requests? per second",
        r"under too much load",
        r"capacity (limit )?exceeded",
        r"exceeded .*capacity",
        r"throttl",
        r"slow down",
    ),
    _rule(
        _unavailable,
        r"authenticat",
        r"unauthori[sz]ed",
        r"api key",
        r"access key",
        r"no backend",
        r"rpc request failed",
        r"forbidden",
    ),
    _rule(_batch, r"batch (size|limit|request|is|too|call)", r"batch(es|ing)? .*(not |un)", r"too many .*in .*batch"),
    _rule(
        _missing,
        r"beyond current head",
        r"after last accepted",
        r"missing trie node",
        r"header not found",
        r"header for hash not found",
        r"unknown block",
        r"unknown header",
        r"block .{0,80}not found",
        r"could not find block",
        r"block not (available|known)",
        r"height is not available",
        r"not (currently )?canonical",
        r"no state available",
        r"state .{0,100}(not|un)\s?available",
        r"historical state",
        r"state is (pruned|not)",
        r"state histories",
        r"unfinalized",
        r"greater than latest",
        r"pruned",
        r"archive",
        r"requested data is not available",
        r"failed to get logs for block",
        r"(from|to)?block > head",
        r"finalized block",
        r"safe block",
        r"resource not found",
        r"transaction not found",
    ),
    _rule(
        _logs,
        r"more than [\d,]+ (results|logs)",
        r"exceeds? max results",
        r"logs matched by query exceeds",
        r"block range should work",
        r"try with this block range",
        r"retry with the range",
        r"response (size|is too big|too large)",
        r"size exceeded",
        r"too (big|large)",
        r"exceeded max limit",
        r"too many (results|logs)",
        r"query exceeds",
    ),
    _rule(_slow, r"timed? ?out", r"timeout", r"took too long", r"deadline exceeded", r"execution aborted"),
    _rule(
        _off,
        r"method .{0,60}(not (found|supported|available|allowed|exist)|disabled|unavailable|does not exist)",
        r"(unsupported|unknown|disabled) method",
        r"not whitelisted",
        r"^\s*limit exceeded\s*$",
    ),
    _rule(
        _unclear,
        r"cannot unmarshal",
        r"invalid (type|argument|param)",
        r"missing value for required",
        r"did not match any",
        r"(unsupported|unknown|invalid) (block )?(tag|number)",
    ),
)


def _by_code(said: _Said) -> GazetteerError:
    if said.code in RATE_LIMITED_CODES:
        return _rate(said)
    if said.code == PRUNED_HISTORY:
        return _missing(said)
    if said.code == METHOD_NOT_FOUND:
        return _off(said)
    if said.code == INVALID_PARAMS:
        return _unclear(said)
    return _unavailable(said)
