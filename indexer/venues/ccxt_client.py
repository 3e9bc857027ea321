"""What the files of exchanges share: ccxt as a transport that hides no failure, and the words of their rows.

Every request of every exchange goes through `fetch` of ccxt's class, here overridden: it waits for the budget, counts
the answer, refuses what is no JSON, and remembers failures, those too that ccxt swallows. ccxt's own limiter, retries
and `load_markets` (a dictionary by unified symbol, in which rows that share one vanish) are not used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt
import requests

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    BadCredentials,
    BadSetting,
    Banned,
    GazetteerError,
    GeoBlocked,
    RateLimited,
    VenueUnavailable,
)
from indexer.model import AssetClass, OptionRight
from indexer.ports import Session

MOST_BODY_CHARACTERS = 128 * 1024 * 1024
MOST_PAGES = 500
MOST_ROWS = 500_000
MOST_WORDS = 160
LONGEST_RETRY_AFTER_S = 86_400.0
GEO_STATUS, BAN_STATUS, RATE_STATUS = 451, 418, 429
_GEO_WORDS = ("restricted location", "block access from your country", "unavailable in your")

T = TypeVar("T")


class Client:
    """One exchange for one run. `api` is ccxt's, with an implicit method for each of the venue's endpoints."""

    def __init__(self, session: Session, name: str, settings: Mapping[str, Any] | None = None) -> None:
        if name not in ccxt.exchanges:
            raise BadSetting(
                f"{session.venue}: ccxt {ccxt.__version__} knows no exchange {name!r}; correct options.ccxt"
            )
        self._session = session
        self._failures: list[Exception] = []
        self._status: int | None = None
        self._retry_after: str | None = None
        self._said = ""
        self.answers = 0
        self.name = f"ccxt {ccxt.__version__} {name}"
        self.api: Any = _heard(getattr(ccxt, name), self)(
            {
                "number": str,
                "timeout": int(session.timeout_s * 1000),
                "enableRateLimit": False,
                "options": dict(settings or {}),
            },
        )
        self.api.urls["api"] = _placed(self.api, session)

    def ask(self, call: Callable[[], T]) -> T:
        """What this call of `api` returns. Raises ours for ccxt's errors, and for failures that ccxt passed over."""
        self._failures.clear()
        try:
            told = call()
        except Exception as error:  # noqa: BLE001 - ccxt parses as it fetches: any shape may raise anything
            raise self._translated(self._failures[0] if self._failures else error) from None  # its text holds the URL
        if self._failures:
            raise self._translated(self._failures[0])
        return told

    def close(self) -> None:
        """Give up its connections."""
        self.api.close()

    def before(self) -> None:
        """A request is about to be sent."""
        self._status, self._retry_after, self._said = None, None, ""
        self._session.draw()

    def answered(self, status: int, headers: Mapping[str, str], body: str) -> None:
        """An answer came, whatever it says."""
        self._status, self._retry_after = status, headers.get("Retry-After")
        self._said = "".join(each for each in body[:MOST_WORDS] if each.isprintable()).strip()
        if len(body) > MOST_BODY_CHARACTERS:
            raise AnswerTooLarge(f"{self._session.venue}: an answer of {len(body)} characters")

    def read(self, value: object) -> None:
        """An answer without an error was read. Raises BadAnswer where it is a page for people."""
        if not isinstance(value, dict | list):
            raise BadAnswer(f"{self._session.venue}: no JSON but {self._said!r}")
        self.answers += 1
        self._session.progress(self.answers, None)

    def failed(self, error: Exception) -> None:
        """A request failed, and whoever sent it may not say so."""
        self._failures.append(error)

    def _translated(self, error: Exception) -> GazetteerError:
        if isinstance(error, GazetteerError):
            return error
        status = f"HTTP {self._status}, " if self._status else ""
        said = f"{self._session.venue}: {type(error).__name__}, {status}{self._said!r}"
        if self._status == GEO_STATUS or isinstance(error, ccxt.RestrictedLocation) or self._says(_GEO_WORDS):
            return GeoBlocked(f"{said}; ask from elsewhere, or set another URL for it")
        if self._status in {BAN_STATUS, RATE_STATUS} or isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            slower = Banned if self._status == BAN_STATUS else RateLimited
            return slower(said, retry_after_s=self._wait_s())
        if isinstance(error, ccxt.AuthenticationError):
            return BadCredentials(said)
        broke_off = isinstance(error.__cause__, requests.RequestException) and not self._status_says_no()
        return VenueUnavailable(said) if broke_off or isinstance(error, ccxt.NetworkError) else BadAnswer(said)

    def _says(self, words: Sequence[str]) -> bool:
        return any(word in self._said.lower() for word in words)

    def _status_says_no(self) -> bool:
        return self._status is not None and 400 <= self._status < 500  # noqa: PLR2004 - classes of HTTP

    def _wait_s(self) -> float | None:
        try:
            wait_s = float(self._retry_after or "")
        except ValueError:
            return None
        return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


@contextmanager
def opened(session: Session, name: str, settings: Mapping[str, Any] | None = None) -> Iterator[Client]:
    """The class `name` of ccxt, its options overlaid with `settings`, asking where the session says."""
    client = Client(session, name, settings)
    try:
        yield client
    finally:
        client.close()


def rows_at(value: object, *path: str) -> list[Mapping[str, object]]:
    """The list of rows below these keys. Raises BadAnswer where there is none."""
    at = value
    for key in path:
        at = at.get(key) if isinstance(at, Mapping) else None
    if not isinstance(at, list) or not all(isinstance(row, Mapping) for row in at):
        raise BadAnswer(f"no list of rows at {'.'.join(path)}")
    if len(at) > MOST_ROWS:
        raise AnswerTooLarge(f"{len(at)} rows at {'.'.join(path)}")
    return at


def words(options: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A list of texts of the venue's row; empty where it has none."""
    value = options.get(key, ())
    return tuple(str(word) for word in value) if isinstance(value, list | tuple) else ()


def bought(base: str | None, options: Mapping[str, object]) -> AssetClass | None:
    """The class of a pair: what is bought is a currency or a coin."""
    if base is None:
        return None
    return "fx" if base in words(options, "fiat") else "crypto"


def label(
    base: str | None,
    quote: str | None,
    settle: str | None = None,
    expires: date | None = None,
    strike: Decimal | None = None,
    right: OptionRight | None = None,
) -> str | None:
    """`BTC/USDT`, `BTC/USDT:USDT`, `BTC/USDT:USDT-261225`, `BTC/USDT:USDT-261225-100000-C`, of the venue's codes."""
    if base is None or quote is None:
        return None
    text = f"{base}/{quote}" if settle is None else f"{base}/{quote}:{settle}"
    if expires is not None:
        text += f"-{expires:%y%m%d}"
    if strike is not None and right is not None:
        text += f"-{plain(strike)}-{right[0].upper()}"
    return text


def plain(number: Decimal) -> str:
    """A number without exponent and without zeros that say nothing."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _heard(kind: type, client: Client) -> type:
    """The exchange's class, with every request passing by `client`."""

    class Heard(kind):  # type: ignore[misc]
        def fetch(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - ccxt's own signature
            try:
                client.before()
                value = super().fetch(*args, **kwargs)
                client.read(value)
            except Exception as error:
                client.failed(error)
                raise
            return value

        def on_rest_response(self, *told: Any) -> Any:  # noqa: ANN401 - ccxt's own signature
            status, _reason, _url, _method, headers, body = told[:6]
            client.answered(status, headers, body)
            return super().on_rest_response(*told)

    return Heard


def _placed(api: Any, session: Session) -> object:  # noqa: ANN401 - ccxt has no types
    """The URLs of ccxt with the session's hosts. A host goes by its first label: `api`, `fapi`, `futures`, `www`."""
    hosts = api.urls.get("hostnames") or {}

    def place(value: object, key: str) -> object:
        if isinstance(value, Mapping):
            return {name: place(below, name) for name, below in value.items()}
        host = hosts.get(key, getattr(api, "hostname", None))
        if not isinstance(value, str) or ("{hostname}" in value and not isinstance(host, str)):
            return value
        parts = urlsplit(value.replace("{hostname}", host or ""))
        return session.url(parts.netloc.partition(".")[0], f"{parts.scheme}://{parts.netloc}") + parts.path

    return place(api.urls["api"], "")
