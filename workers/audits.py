"""What audits found and how endpoints behave, in words: from counts alone, so that every case can be tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from indexer.store.health import Count
from workers.wording import span

MOST_ENDPOINTS = 8
"""So many are spoken of for each chain; `api.endpoint_health` has all."""
UPHELD = "upheld_blocks"
LIES: Mapping[str, tuple[str, str]] = {
    "omitted_logs": ("omitted 1 log", "omitted {:,} logs"),
    "invented_logs": ("made up 1 log", "made up {:,} logs"),
    "wrong_hashes": ("showed 1 log under a false block hash", "showed {:,} logs under false block hashes"),
}
LAGS: Mapping[str, tuple[str, str]] = {
    "lagged": ("lagged once", "lagged {:,} times"),
    "missing_data": ("lacked data once", "lacked data {:,} times"),
}
REFUSALS: Mapping[str, tuple[str, str]] = {
    "rate_limited": ("limited the rate once", "limited the rate {:,} times"),
    "refused": ("refused 1 range as too large", "refused {:,} ranges as too large"),
    "method_off": ("has a method switched off", "has a method switched off"),
}
FAILURES: Mapping[str, tuple[str, str]] = {
    "wrong_chain": ("serves another chain", "serves another chain"),
    "forked": ("was on another branch once", "was on another branch {:,} times"),
    "unasked_logs": ("sent logs nobody asked for once", "sent logs nobody asked for {:,} times"),
    "bad_answers": ("contradicted itself once", "contradicted itself {:,} times"),
    "timed_out": ("timed out once", "timed out {:,} times"),
    "unavailable": ("was away once", "was away {:,} times"),
}
_ALL = {**LIES, **LAGS, **REFUSALS, **FAILURES}
_VERBS = {"omitted_logs": "omitted logs", "invented_logs": "made up logs", "wrong_hashes": "named false block hashes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audits:
    """One chain's audits now.

    `scanned` and `audited` are blocks of all enabled factories together, up to the anchor. `endpoints`: how many may be
    spent on history, None where nobody here knows.
    """

    chain: str
    scanned: int
    audited: int
    endpoints: int | None
    counts: Sequence[Count]
    now: datetime


def percent(of: Audits) -> float | None:
    """How much of what was read is audited, cut to two digits; 100 only where all is. None: nothing was read."""
    return None if of.scanned == 0 else 10_000 * of.audited // of.scanned / 100


def last_difference_at(of: Audits) -> datetime | None:
    """When an audit last found that somebody had told something else than is true; None: never."""
    return max((each.last_at for each in of.counts if each.what in LIES), default=None)


def sentences(of: Audits) -> list[str]:
    """How much is audited, what the last difference was, and how each endpoint behaved that is worth a word."""
    return [_share(of), *_difference(of), *_behaviours(of)]


def roll_call(of: Audits) -> str | None:
    """Who lied, lagged, refused or failed, by name alone; None: nobody did."""
    groups = (("lied", LIES), ("lagged", LAGS), ("refused", REFUSALS), ("failed", FAILURES))
    told = [(word, sorted({each.endpoint for each in of.counts if each.what in kinds})) for word, kinds in groups]
    parts = [f"{word}: {', '.join(names)}" for word, names in told if names]
    return f"{of.chain} {'; '.join(parts)}" if parts else None


def _share(of: Audits) -> str:
    share = percent(of)
    if share is None:
        return "Audited: nothing, as none of its history is read yet."
    if of.endpoints is not None and of.endpoints < 2 and of.audited == 0:  # noqa: PLR2004 - one cannot confirm itself
        return "Audited: nothing; that takes a second endpoint that may be spent on history."
    return f"Audited: {share:.2f} % of the history that was read, through other endpoints."


def _difference(of: Audits) -> list[str]:
    moment = last_difference_at(of)
    if moment is None:
        return ["No audit has found a difference."] if of.audited else []
    then = [each for each in of.counts if each.last_at == moment]
    lied = [f"{each.endpoint} {_VERBS[each.what]}" for each in then if each.what in LIES]
    right = [each.endpoint for each in then if each.what == UPHELD]
    found = f"The last difference was found {span((of.now - moment).total_seconds())} ago"
    return [f"{found}: {_and(lied)}" + (f"; {_and(right)} told it rightly." if right else ".")]


def _behaviours(of: Audits) -> list[str]:
    lines = {}
    for name in sorted({each.endpoint for each in of.counts}):
        counts = {each.what: each.times for each in of.counts if each.endpoint == name}
        words = [_times(forms, counts[what]) for what, forms in _ALL.items() if what in counts]
        if words:
            lied = sum(counts.get(what, 0) for what in LIES)
            lines[lied, name] = f"{name} {_and([*words, *_answers(counts)])}."
    found = [line for _, line in sorted(lines.items(), key=lambda pair: (-pair[0][0], pair[0][1]))]
    if len(found) > MOST_ENDPOINTS:
        found[MOST_ENDPOINTS:] = [f"{len(found) - MOST_ENDPOINTS} more are in api.endpoint_health."]
    return found


def _answers(counts: Mapping[str, int]) -> list[str]:
    return [_times(("answered once", "answered {:,} times"), counts["answers"])] if counts.get("answers") else []


def _times(forms: tuple[str, str], times: int) -> str:
    return forms[0] if times == 1 else forms[1].format(times)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
