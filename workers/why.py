"""What each chain waits for, as one sentence: from facts alone, so that every case can be tested."""

from dataclasses import dataclass

from workers.wording import span

SILENT_S = 30.0
STALLED_DEPTHS = 3
"""Finality counts as stalled when it did not move for so many times its usual depth."""
SHORTEST_STALL_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one chain now. Ages in seconds, None where nobody told; `note` as the follower said it.

    `followed`: it has an anchor, or a follower runs. `usual_depth_s`: how far finality is behind the head in quiet
    times. `waits_for_consent`: all endpoints have keys, and nobody allowed to spend them on history; `history_off`:
    by the setting.
    """

    chain: str
    halted: str | None = None
    followed: bool = True
    seen_age_s: float | None = None
    note: str | None = None
    lag_blocks: int | None = None
    finalized_age_s: float | None = None
    usual_depth_s: float = 0.0
    missing_blocks: int | None = None
    holes: int = 0
    waits_for_consent: bool = False
    history_off: bool = False
    tokens_pending: int = 0


def why(of: Facts) -> str:
    """One sentence: what `of.chain` waits for, the most urgent thing first."""
    return f"{of.chain} {_head(of) or _finality(of) or _history(of) or _rest(of)}"


def _head(of: Facts) -> str | None:
    if of.halted is not None:
        return f"is halted and waits for you: {of.halted}."
    if of.seen_age_s is None or of.seen_age_s > SILENT_S:
        return _unfollowed(of)
    if of.note is not None:
        return f"waits for an endpoint: {of.note.rstrip('.')}."
    if of.lag_blocks:
        return f"is {of.lag_blocks:,} block{_s(of.lag_blocks)} behind its head and catches up."
    return None


def _unfollowed(of: Facts) -> str:
    if of.seen_age_s is None and of.followed:
        return "waits for a first answer: no endpoint has told its follower a head yet."
    last = "was never followed" if of.seen_age_s is None else f"was last followed {span(of.seen_age_s)} ago"
    return f"{last}: run `gazetteer up` or `gazetteer follow {of.chain}`."


def _finality(of: Facts) -> str | None:
    longest_s = max(STALLED_DEPTHS * of.usual_depth_s, SHORTEST_STALL_S)
    if of.finalized_age_s is None or of.finalized_age_s <= longest_s:
        return None
    return (
        f"is at the head, but its finality has not moved for {span(of.finalized_age_s)}: "
        "new pools are kept and wait to become final."
    )


def _history(of: Facts) -> str | None:
    if not of.missing_blocks:
        return None
    left = f"{of.missing_blocks:,} block{_s(of.missing_blocks)} of history in {of.holes:,} hole{_s(of.holes)}"
    if of.history_off:
        return f"is at the head; {left} are not read, as the setting history is none."
    if of.waits_for_consent:
        return (
            f"is at the head; {left} wait for your consent to spend a keyed endpoint: "
            f"run `gazetteer backfill --chains {of.chain} --yes`."
        )
    return f"is at the head and reads its history: {left} left."


def _rest(of: Facts) -> str:
    if of.tokens_pending:
        wait = "token waits" if of.tokens_pending == 1 else "tokens wait"
        return f"is at the head, and {of.tokens_pending:,} {wait} to be asked."
    return "is at the head and waits for nothing but the next block."


def _s(count: int) -> str:
    return "" if count == 1 else "s"
