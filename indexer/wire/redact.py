"""What may be said about an endpoint: its host. Its path, query, user and port-less rest may be a paid key."""

import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
SHORTEST_SECRET = 16
SHORTEST_PASSWORD = 6
LONGEST_TEXT = 300

_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>\\]+")
_KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9_-])(?!0[xX][0-9a-fA-F]+\b)(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{20,}"
)


def public_name(url: str) -> str:
    """The host (and port) of an endpoint's URL; labels that look like a key are hidden. Never raises."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return HIDDEN
    shown = ".".join(HIDDEN if _KEY_LIKE.fullmatch(label) else label for label in host.split(".")) or HIDDEN
    return shown if port is None else f"{shown}:{port}"


def public_names(urls: Sequence[str]) -> tuple[str, ...]:
    """A name for each URL, in their order, all different: a second endpoint at one host is `host#2`."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for url in urls:
        name = public_name(url)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(names)


def redacted(text: str) -> str:
    """`text` with every URL cut to scheme and host and every key-like word hidden, at most 300 characters."""
    hostless = _URL.sub(_only_host, text)
    return _KEY_LIKE.sub(HIDDEN, hostless)[:LONGEST_TEXT]


def secrets_of(url: str) -> tuple[bytes, ...]:
    """The parts of `url` that may be a secret, raw and percent-decoded, longest first."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return ()
    words = [word for word in re.split(r"[/?&=#;]", f"{parts.path}?{parts.query}#{parts.fragment}") if word]
    words += (parts.hostname or "").split(".")
    found = {word for word in words if len(word) >= SHORTEST_SECRET}
    found |= {word for word in (user, password) if len(word) >= SHORTEST_PASSWORD}
    found |= {unquote(word) for word in found}
    return tuple(sorted((word.encode() for word in found), key=lambda word: (-len(word), word)))


def holds_key(url: str) -> bool:
    """Whether `url` has a user, a password, or in its path, query or host what looks like a key."""
    try:
        parts = urlsplit(url)
        labels, user = (parts.hostname or "").split("."), parts.username
    except ValueError:
        return True
    words = re.split(r"[/?&=#;]", f"{parts.path}?{parts.query}#{parts.fragment}")
    return bool(user) or any(len(word) >= SHORTEST_SECRET for word in words) or any(map(_KEY_LIKE.fullmatch, labels))


def _only_host(match: re.Match[str]) -> str:
    scheme, _, _ = match.group().partition("://")
    return f"{scheme}://{public_name(match.group())}"
