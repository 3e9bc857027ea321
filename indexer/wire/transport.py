"""Bytes to a node and back over one pooled HTTP client. What goes wrong becomes one of our errors, without a URL.

Statuses: 2xx is an answer; so is a 4xx whose body is JSON-RPC (several providers put their errors there). 429 and
402 are RateLimited. 408, 504, 524 and a slow body are TimedOut. 413 is AnswerTooLarge. Everything else is
NodeUnavailable. Redirects are not followed.
"""

import logging
import os
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.exceptions import TimeoutError as UrllibTimeout

from indexer.errors import AnswerTooLarge, BadSetting, GazetteerError, NodeUnavailable, RateLimited, TimedOut
from indexer.wire.redact import HIDDEN, public_name, secrets_of

Transport = Callable[[bytes, float], bytes]
"""Called with a JSON-RPC body and a timeout in seconds, returns the answer's body. Raises Retryable kinds."""

CONNECT_S = 5.0
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 256 * 1024
CONNECTIONS = 4
TRIES = 2
"""A pooled connection may have been closed by the other side meanwhile: one more try, and no other retries."""
QUOTA_PAUSE_S = 3600.0
LONGEST_RETRY_AFTER_S = 3600.0

_SLOW = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT, 524})
_REFUSED_KEY = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_QUOTA = re.compile(rb"monthly|quota|billing|upgrade your", re.IGNORECASE)

logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it logs URLs, and with them keys


class HttpTransport:
    """A `Transport` to one URL. The URL is kept to itself: neither errors nor `repr` show more than the host."""

    def __init__(self, url: str, *, largest_bytes: int = LARGEST_ANSWER_BYTES, connections: int = CONNECTIONS) -> None:
        self.name = public_name(url)
        if not url.lower().startswith(("http://", "https://")):
            message = f"an endpoint ({self.name}) is not an http:// or https:// URL; correct its setting"
            raise BadSetting(message)
        self._url, self._headers = _without_user(url)
        self._secrets = secrets_of(url)
        self._largest_bytes = largest_bytes
        self._connections = connections
        self._pool, self._pid = self._new_pool(), os.getpid()

    def __repr__(self) -> str:
        return f"HttpTransport({self.name})"

    def __call__(self, body: bytes, timeout_s: float) -> bytes:
        """Send `body`, return the answer. Raises NodeUnavailable, TimedOut, RateLimited or AnswerTooLarge."""
        deadline = time.monotonic() + timeout_s
        for attempt in range(1, TRIES + 1):
            try:
                return self._once(body, deadline)
            except GazetteerError:
                raise
            except UrllibTimeout as error:
                raise _timed_out(error, timeout_s) from None
            except ProtocolError:
                if attempt == TRIES:
                    raise NodeUnavailable("the connection was cut before the answer was whole") from None
            except (HTTPError, OSError, ValueError) as error:
                raise NodeUnavailable(f"no connection ({type(error).__name__})") from None
        raise NodeUnavailable("no connection")

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.clear()

    def _new_pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(num_pools=1, maxsize=self._connections, retries=False)

    def _once(self, body: bytes, deadline: float) -> bytes:
        if os.getpid() != self._pid:  # two processes must not read from one socket
            self._pool, self._pid = self._new_pool(), os.getpid()
        left_s = max(deadline - time.monotonic(), 0.001)
        response = self._pool.request(
            "POST",
            self._url,
            body=body,
            headers=self._headers,
            timeout=urllib3.Timeout(connect=min(CONNECT_S, left_s), read=left_s),
            preload_content=False,
            redirect=False,
            retries=False,
        )
        whole = False
        try:
            answer = self._read(response, deadline)
            whole = True
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()
        _check_status(response, answer)
        return answer

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        parts, size = [], 0
        while part := response.read1(CHUNK_BYTES, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > self._largest_bytes:
                raise AnswerTooLarge(f"the answer is larger than {self._largest_bytes} bytes")
            if time.monotonic() > deadline:
                raise TimedOut("the answer was not whole in time")
        answer = b"".join(parts)
        for secret in self._secrets:
            if secret in answer:
                answer = answer.replace(secret, HIDDEN.encode())
        return answer


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """The URL without user and password, and the headers that say them (and everything else) instead."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, headers
    headers |= urllib3.make_headers(basic_auth=unquote(user))
    return urlunsplit(parts._replace(netloc=host)), headers


def _check_status(response: urllib3.BaseHTTPResponse, answer: bytes) -> None:
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.PAYMENT_REQUIRED):
        raise RateLimited(f"told to slow down (HTTP {status})", retry_after_s=_pause_s(response, answer))
    if status in _SLOW:
        raise TimedOut(f"the endpoint gave up waiting (HTTP {status})")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and b'"jsonrpc"' in answer and b'"error"' in answer:
        return
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise AnswerTooLarge(f"the endpoint found it too large (HTTP {status})")
    if status in _REFUSED_KEY:
        raise NodeUnavailable(f"the endpoint did not accept our key (HTTP {status})")
    raise NodeUnavailable(f"HTTP {status}")


def _pause_s(response: urllib3.BaseHTTPResponse, answer: bytes) -> float | None:
    """Retry-After in seconds or as a date; an exhausted quota pauses for long; None if nothing is said."""
    told = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", told):
        return min(float(told), LONGEST_RETRY_AFTER_S)
    if told:
        try:
            ahead_s = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
        return min(max(ahead_s, 0.0), LONGEST_RETRY_AFTER_S)
    return QUOTA_PAUSE_S if response.status == HTTPStatus.PAYMENT_REQUIRED or _QUOTA.search(answer) else None


def _timed_out(error: UrllibTimeout, timeout_s: float) -> NodeUnavailable:
    if isinstance(error, ReadTimeoutError):
        return TimedOut(f"no whole answer within {timeout_s:g} s")
    return NodeUnavailable(f"no connection within {min(CONNECT_S, timeout_s):g} s")
