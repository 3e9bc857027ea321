"""The login to Charles Schwab, and asking with it: made by a person, good for seven days, renewed by whoever is first.

What is kept is what schwab-py keeps: `{"creation_timestamp": seconds, "token": {...}}`, as JSON.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from indexer.errors import BadAnswer, BadCredentials, NeedsReauth, VenueUnavailable
from indexer.ports import Session
from indexer.venues.spec import refusal

with warnings.catch_warnings():
    from authlib.deprecate import AuthlibDeprecationWarning

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # of httpx, which is held below 1 for it
    from authlib.common.errors import AuthlibBaseError
    from authlib.integrations.httpx_client import OAuth2Client

    warnings.simplefilter("ignore", DeprecationWarning)  # of streams, which nobody uses here
    from schwab.client import Client

USUAL_URL = "https://api.schwabapi.com"
TOKEN_URL = f"{USUAL_URL}/v1/oauth/token"
LOGIN_COMMAND = "gazetteer venues login schwab"
CALLBACK_URL = "https://127.0.0.1:8182"
DAY_S = 86_400
WARN_AFTER_S = 5 * DAY_S
DEAD_AFTER_S = 7 * DAY_S
LEEWAY_S = 300
MOST_SWAPS = 3
Row = Mapping[str, object]

__all__ = ["DAY_S", "LOGIN_COMMAND", "Api", "Client", "Standing", "log_in", "login_url", "opened", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How old a login is, in seconds since a person made it, and what a person should hear of that, if anything."""

    age_s: int
    dead: bool
    says: str | None


def standing(token: bytes | None, now_s: float) -> Standing:
    """What a kept login's `creation_timestamp` means at `now_s`. Dead: none, unreadable or older than seven days."""
    created = read(token).get("creation_timestamp")
    if not isinstance(created, int) or isinstance(created, bool):
        return Standing(age_s=0, dead=True, says=f"nobody is logged in to Schwab; run: {LOGIN_COMMAND}")
    age_s = max(0, int(now_s) - created)
    if age_s >= DEAD_AFTER_S:
        return Standing(age_s=age_s, dead=True, says=f"the login to Schwab is over; run: {LOGIN_COMMAND}")
    left = f"{(DEAD_AFTER_S - age_s) / DAY_S:.1f} days"
    says = f"the login to Schwab ends in {left}; run: {LOGIN_COMMAND}" if age_s >= WARN_AFTER_S else None
    return Standing(age_s=age_s, dead=False, says=says)


def login_url(session: Session, options: Mapping[str, object]) -> tuple[str, str]:
    """Where a person logs in with a browser, and the state that the address it then shows has to bear."""
    with opened(session, options) as oauth:
        url, state = oauth.create_authorization_url(f"{session.url('rest', USUAL_URL)}/v1/oauth/authorize")
    return str(url), str(state)


def log_in(session: Session, options: Mapping[str, object], received_url: str, state: str) -> None:
    """Turn the address that the browser was sent to into the kept login. Raises NeedsReauth where that is refused."""
    session.draw()
    with opened(session, options) as oauth, translated(session.venue):
        token = oauth.fetch_token(
            TOKEN_URL,
            authorization_response=received_url,
            state=state,
            auth=(session.secret("SCHWAB_APP_KEY"), session.secret("SCHWAB_APP_SECRET")),
        )
    new = written(session.venue, int(time.time()), token)
    if not any(session.keep_token(new, session.token()) for _attempt in range(MOST_SWAPS)):
        raise VenueUnavailable(f"{session.venue}: the kept login changes again and again; log in once more")


@contextmanager
def opened(session: Session, options: Mapping[str, object]) -> Iterator[OAuth2Client]:
    """A client of authlib, its requests sent where the session says, refusals of its token endpoint told apart."""
    base = httpx.URL(session.url("rest", USUAL_URL))

    def place(request: httpx.Request) -> None:
        path = base.raw_path.rstrip(b"/") + request.url.raw_path
        request.url = request.url.copy_with(scheme=base.scheme, host=base.host, port=base.port, raw_path=path)
        request.headers["Host"] = request.url.netloc.decode()

    def judge(response: httpx.Response) -> httpx.Response:
        if response.status_code not in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
            raise refusal(session.venue, response.status_code, response.headers.get("Retry-After"))
        return response

    oauth = OAuth2Client(
        session.secret("SCHWAB_APP_KEY"),
        client_secret=session.secret("SCHWAB_APP_SECRET"),
        redirect_uri=str(options.get("callback_url", CALLBACK_URL)),
        token_endpoint=TOKEN_URL,
        leeway=LEEWAY_S,
        timeout=session.timeout_s,
    )
    oauth.event_hooks = {"request": [place]}
    for hook in ("access_token_response", "refresh_token_response"):
        oauth.register_compliance_hook(hook, judge)
    with oauth:
        yield oauth


@contextmanager
def translated(venue: str) -> Iterator[None]:
    """Errors of authlib and httpx as ours. What a login was refused with is named by its word only."""
    try:
        yield
    except AuthlibBaseError as error:
        if error.error in {"invalid_client", "unauthorized_client"}:
            raise BadCredentials(f"{venue}: {error.error}; check SCHWAB_APP_KEY and SCHWAB_APP_SECRET") from None
        raise NeedsReauth(f"{venue} refused the login ({error.error}); run: {LOGIN_COMMAND}") from None
    except httpx.HTTPStatusError as error:
        raise refusal(venue, error.response.status_code) from None
    except httpx.HTTPError as error:
        raise VenueUnavailable(f"{venue}: {type(error).__name__}") from None
    except ValueError:
        raise BadAnswer(f"{venue}: an answer that is no JSON") from None


def read(token: bytes | None) -> dict[str, Any]:
    """A kept login; empty where it is none."""
    try:
        told = json.loads(token or b"{}")
    except ValueError:
        return {}
    good = isinstance(told, dict) and isinstance(told.get("token"), dict)
    return told if good else {}


def written(venue: str, created: int, token: Mapping[str, object]) -> bytes:
    """A login as it is kept. Raises BadAnswer for one that could neither be used nor renewed."""
    if not all(isinstance(token.get(word), str) for word in ("access_token", "refresh_token")):
        raise BadAnswer(f"{venue}: a login without its tokens")
    return json.dumps({"creation_timestamp": created, "token": dict(token)}).encode()


class Api:
    """schwab-py with the kept login: whoever renews it first is followed, so that nobody spends it twice."""

    def __init__(self, session: Session, oauth: OAuth2Client) -> None:
        self._session, self._oauth = session, oauth
        self._kept = session.token()
        self.standing = standing(self._kept, time.time())
        if self.standing.dead:
            raise NeedsReauth(str(self.standing.says))
        oauth.token = read(self._kept).get("token")
        oauth.update_token = self._renewed
        self._client = Client(session.secret("SCHWAB_APP_KEY"), oauth)
        self._client.set_timeout(session.timeout_s)
        self.venue = session.venue
        self.answers = 0

    def ask(self, call: Callable[[Client], httpx.Response], *may_be: int) -> Row | None:
        """The object that was answered. Of statuses in `may_be`, 404 is an empty one, others are None."""
        response = self._sent(call)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            if not self._follow():
                self._renew()
            response = self._sent(call)
        if response.status_code in may_be:
            return {} if response.status_code == HTTPStatus.NOT_FOUND else None
        if not response.is_success:
            raise refusal(self.venue, response.status_code, response.headers.get("Retry-After"))
        self.answers += 1
        self._session.progress(self.answers, None)
        with translated(self.venue):
            told = response.json()
        if not isinstance(told, dict):
            raise BadAnswer(f"{self.venue}: an answer that is no object")
        return told

    def _sent(self, call: Callable[[Client], httpx.Response]) -> httpx.Response:
        if self._expired():
            self._follow()
        if self._expired():
            self._renew()
        self._session.draw()
        with translated(self.venue):
            return call(self._client)

    def _expired(self) -> bool:
        return bool(self._oauth.token.is_expired(leeway=LEEWAY_S))

    def _renew(self) -> None:
        """Ask for a new access token. Where that is refused because somebody else was first, theirs is followed."""
        self._session.draw()
        try:
            with translated(self.venue):
                self._oauth.refresh_token(TOKEN_URL, refresh_token=self._oauth.token.get("refresh_token"))
        except NeedsReauth:
            if not self._follow():
                raise

    def _renewed(self, token: Mapping[str, object], **_before: object) -> None:
        """Called with a renewed login, before anything is asked with it."""
        new = written(self.venue, read(self._kept)["creation_timestamp"], token)
        if self._session.keep_token(new, self._kept):
            self._kept = new
        else:
            self._follow()

    def _follow(self) -> bool:
        """Go on with the login that somebody else kept meanwhile. False: nobody did."""
        theirs = self._session.token()
        if theirs == self._kept or standing(theirs, time.time()).dead:
            return False
        self._kept, self._oauth.token = theirs, read(theirs)["token"]
        return True
