"""Every error this product raises on purpose, split by what the caller should do.

* GazetteerError
  x Retryable            the world may answer differently later, or elsewhere
    + NodeUnavailable      no connection, timeout, 5xx: try another endpoint
      + TimedOut             connected, but no whole answer in time: perhaps the question was too heavy
    + RateLimited          told to slow down; carries `retry_after_s`
      + Banned               shut out for a while: nothing more is asked of this venue until then
    + VenueUnavailable     a venue does not answer, breaks off or is in maintenance: ask it later
    + MissingData          null block, unknown block, pruned or not yet seen: another endpoint, never cached
    + BadAnswer            an answer that contradicts the question, itself or another answer: distrust the endpoint
      + AnswerTooLarge       an answer larger than is read: ask for less
    + MethodOff            the endpoint does not serve this method: another endpoint
    + Suspicious           logs nobody asked for beside the good ones: ask another endpoint first
    + ForkBelowAnchor      an endpoint shows another hash at the anchor: shut it out; all of them: halt the chain
    + Moved                somebody else advanced this cursor: read again and decide again
    + DatabaseUnavailable  Postgres does not answer: wait, nothing is lost
    + BrokerUnavailable    the broker does not answer: wake-ups are lost, state is not
  x RangeRefused         the question was too large: ask for less
    + TooManyBlocks        a structural cap of the endpoint; carries `cap` (blocks) where the text names it
    + TooManyLogs          too dense: halve this filter's span
    + FilterTooLarge       too many addresses or topics: split the filter
  x Permanent            asking again cannot help: record it and go on
    + UndecodableLog       the right emitter and topic, but not the layout
    + ProofMismatch        the announced address or id is not the one that can be derived
    + UnreadableRow        a row of a venue's list that says less than identity needs
  x Refused              a person has to decide; says what happened, where and what to do
    + BadSetting           a wrong value in the environment or gazetteer.toml
    + WrongChain           an endpoint of another chain id or genesis
    + SchemaBehind         the database was not migrated to this version
    + GeoBlocked           a venue does not serve the place that we ask from
    + BadCredentials       a venue does not accept our key
    + NeedsReauth          a login ran out, and only a person can renew it
    + Disabled             a venue without credentials, or without its client installed: nothing is wrong
"""


class GazetteerError(Exception):
    """Base of everything raised on purpose here."""


class Retryable(GazetteerError):
    """The world may answer differently later, or elsewhere."""


class NodeUnavailable(Retryable):
    """No connection, a timeout, or a server error."""


class TimedOut(NodeUnavailable):
    """Connected, but no whole answer came in time."""


class RateLimited(Retryable):
    """Told to slow down. `retry_after_s` is what the endpoint asked for, or None."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Banned(RateLimited):
    """Shut out for a while. Nothing more may be asked of this venue until `retry_after_s` is over."""


class VenueUnavailable(Retryable):
    """A venue does not answer, broke off in the middle, or is in maintenance."""


class MissingData(Retryable):
    """The endpoint does not have (or not yet have) this block or state."""


class BadAnswer(Retryable):
    """The answer contradicts the question, itself, or another answer."""


class AnswerTooLarge(BadAnswer):
    """The answer is larger than is read, or the endpoint said that it would be."""


class MethodOff(Retryable):
    """The endpoint does not serve this method. Another one may."""


class Suspicious(Retryable):
    """The answer holds logs nobody asked for. Another endpoint should be asked first."""


class ForkBelowAnchor(Retryable):
    """An endpoint shows another hash at the anchor than the one we know to be final."""


class Moved(Retryable):
    """Somebody else advanced this cursor."""


class DatabaseUnavailable(Retryable):
    """Postgres does not answer."""


class BrokerUnavailable(Retryable):
    """The broker does not answer. Wake-ups are lost, state is not."""


class RangeRefused(GazetteerError):
    """The endpoint refused the size of the question."""


class TooManyBlocks(RangeRefused):
    """A cap on the block span, whatever the filter. `cap` is the allowed span in blocks, if named."""

    def __init__(self, message: str, *, cap: int | None = None) -> None:
        super().__init__(message)
        self.cap = cap


class TooManyLogs(RangeRefused):
    """Too many logs, bytes or seconds for this filter. `last` is the last block the endpoint says would work."""

    def __init__(self, message: str, *, last: int | None = None) -> None:
        super().__init__(message)
        self.last = last


class FilterTooLarge(RangeRefused):
    """Too many addresses or topics in one filter."""


class Permanent(GazetteerError):
    """Asking again cannot help."""


class UndecodableLog(Permanent):
    """A log of the right emitter and topic, but not of its layout."""


class ProofMismatch(Permanent):
    """The announced address or id is not the one derived from its own announcement."""


class UnreadableRow(Permanent):
    """A row of a venue's list that says less than identity needs, or something that contradicts itself."""


class Refused(GazetteerError):
    """A person has to decide. The message says what happened, where, and what to do next."""


class BadSetting(Refused):
    """A wrong value in the environment or in gazetteer.toml."""


class WrongChain(Refused):
    """The endpoint serves another chain than the one it was configured for."""


class SchemaBehind(Refused):
    """The database is not at the schema this version needs."""


class GeoBlocked(Refused):
    """The venue does not serve the place that it is asked from."""


class BadCredentials(Refused):
    """The venue does not accept our key."""


class NeedsReauth(Refused):
    """A login ran out, and only a person can renew it."""


class Disabled(Refused):
    """No credentials were given, or the client is not installed. Nothing is wrong; nothing is asked."""
