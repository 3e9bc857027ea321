"""What the operator decided: variables `GAZETTEER_...`, else gazetteer.toml, else the defaults written here.

Read once, by workers/wiring.py. A wrong value is a BadSetting that names its place and the remedy; nothing is
started with half of the settings understood.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indexer.errors import BadSetting

PREFIX = "GAZETTEER_"
FILE = "gazetteer.toml"
MOST_FILE_BYTES = 4 * 1024 * 1024
HISTORY = ("public", "all", "none")
_TABLES = frozenset({"rpc", "url", "chain", "factory", "venue"})
_RPC = "RPC_"
_URL = "URL_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every decision, typed. `rpc`: URLs by chain name. `urls`: instead of a venue's own, by `venue` or `venue_name`.

    `chain_rows`, `factory_rows`, `venue_rows`: as `known` reads them. `variables` is the environment, where venues'
    credentials have the names that their own clients give them.

    `where` says for each name where its value comes from; `file` is the gazetteer.toml that was read, if any.
    """

    database_url: str | None
    broker_url: str | None
    data_dir: Path | None
    postgres_bin: Path | None
    chains: tuple[str, ...] | None
    venues: tuple[str, ...] | None
    history: str
    requests_per_s: float
    witnesses: int
    processes: int
    lease_s: float
    task_s: float
    halt_after_s: float
    flower_auth: str | None
    rpc: Mapping[str, tuple[str, ...]]
    urls: Mapping[str, str]
    chain_rows: tuple[Mapping[str, Any], ...]
    factory_rows: tuple[Mapping[str, Any], ...]
    venue_rows: tuple[Mapping[str, Any], ...]
    variables: Mapping[str, str] = field(repr=False)
    where: Mapping[str, str]
    file: Path | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One decision: how it is written, read, and what it is without one."""

    name: str
    read: Callable[[str], object]
    remedy: str
    default: object
    about: str


def read(env: Mapping[str, str] | None = None, directory: Path | None = None) -> Settings:
    """The settings of this environment (the process's own if None) and directory (the current one if None)."""
    env = os.environ if env is None else env
    path = _file(env, directory or Path.cwd())
    told = _load(path) if path else {}
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for setting in SETTINGS:
        values[setting.name], where[setting.name] = _value(setting, env, told, path)
    _refuse_unknown(env, told, path)
    rpc, rpc_where = _rpc(env, told, path)
    urls, urls_where = _urls(env, told, path)
    return Settings(
        **values,
        rpc=rpc,
        urls=urls,
        variables=dict(env),
        chain_rows=_rows(told, "chain", path),
        factory_rows=_rows(told, "factory", path),
        venue_rows=_rows(told, "venue", path),
        where=where | rpc_where | urls_where,
        file=path,
    )


def _text(word: str) -> str:
    if not word.strip():
        raise ValueError
    return word.strip()


def _url(*schemes: str) -> Callable[[str], str]:
    def reader(word: str) -> str:
        if not word.strip().startswith(schemes):
            raise ValueError
        return word.strip()

    return reader


def _login(word: str) -> str:
    user, _, password = word.strip().partition(":")
    if not user or not password or "," in word:  # a comma would begin a second login
        raise ValueError
    return word.strip()


def _names(word: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in word.split(",") if part.strip())
    if not names:
        raise ValueError
    return names


def _one_of(*words: str) -> Callable[[str], str]:
    def reader(word: str) -> str:
        if word not in words:
            raise ValueError
        return word

    return reader


def _number(least: float, most: float) -> Callable[[str], float]:
    def reader(word: str) -> float:
        value = float(word)
        if not least <= value <= most:
            raise ValueError
        return value

    return reader


def _count(least: int, most: int) -> Callable[[str], int]:
    def reader(word: str) -> int:
        value = int(word)
        if not least <= value <= most:
            raise ValueError
        return value

    return reader


def _path(word: str) -> Path:
    return Path(_text(word)).expanduser()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "database_url",
        _url("postgresql://", "postgres://"),
        "write postgresql://user:password@host:5432/database",
        None,
        "PostgreSQL to use; without it `up` and `demo` run an embedded one",
    ),
    Setting(
        "broker_url",
        _url("redis://", "rediss://", "unix://"),
        "write redis://:password@host:6379/0, rediss://... or unix:///path/to.sock?db=0",
        None,
        "Redis or Valkey to use; without it `up` and `demo` run an embedded one",
    ),
    Setting("data_dir", _path, "write a directory", None, "where embedded servers keep their data"),
    Setting(
        "postgres_bin", _path, "write the directory of initdb", None, "PostgreSQL binaries for the embedded server"
    ),
    Setting(
        "chains", _names, "write names with commas, as in ethereum,polygon", None, "which chains; all known if unset"
    ),
    Setting(
        "venues",
        _names,
        "write names with commas, as in binance,kraken, or none",
        None,
        "which exchanges and brokers; all that are enabled if unset",
    ),
    Setting(
        "history",
        _one_of(*HISTORY),
        "write public, all or none",
        "public",
        "which endpoints may be spent on history: those without a key, all, or none",
    ),
    Setting(
        "requests_per_s",
        _number(0.1, 100_000),
        "write a number of 0.1 to 100000",
        10.0,
        "requests a second to one endpoint, all processes together",
    ),
    Setting(
        "witnesses",
        _count(2, 20),
        "write a whole number of 2 to 20",
        3,
        "how many endpoints have to have read a block before it is audited, where a chain has as many",
    ),
    Setting(
        "processes",
        _count(1, 10_000),
        "write a whole number of 1 to 10000",
        8,
        "how many processes share the requests while the broker is away",
    ),
    Setting("lease_s", _number(1, 3600), "write seconds of 1 to 3600", 60.0, "how long a claim of work lasts"),
    Setting(
        "task_s", _number(0.5, 3600), "write seconds of 0.5 to 3600, less than lease_s", 45.0, "when a task is killed"
    ),
    Setting(
        "halt_after_s",
        _number(0.1, 86_400),
        "write seconds of 0.1 to 86400",
        60.0,
        "how long every endpoint has to contradict our anchor before a chain is halted",
    ),
    Setting(
        "flower_auth",
        _login,
        "write user:password, without a comma",
        None,
        "who may open Flower; needed where it listens beyond this machine",
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def _file(env: Mapping[str, str], directory: Path) -> Path | None:
    named = env.get(PREFIX + "CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise BadSetting(f"{PREFIX}CONFIG: there is no file {path}; correct the path or unset the variable")
        return path
    path = directory / FILE
    return path if path.is_file() else None


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_FILE_BYTES:
        raise BadSetting(f"{path}: is larger than {MOST_FILE_BYTES} bytes; keep settings only")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path}: is no TOML ({error}); correct it there") from None


def _value(setting: Setting, env: Mapping[str, str], told: Mapping[str, Any], path: Path | None) -> tuple[object, str]:
    variable = PREFIX + setting.name.upper()
    if env.get(variable):
        return _understood(setting, env[variable], variable), variable
    if setting.name in told:
        value = told[setting.name]
        word = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        return _understood(setting, word, f"{path}: {setting.name}"), str(path)
    return setting.default, "default"


def _understood(setting: Setting, word: str, place: str) -> object:
    try:
        return setting.read(word)
    except (ValueError, OverflowError):
        # the value is not shown: it may hold a password
        raise BadSetting(f"{place} is not understood; {setting.remedy}") from None


def _rpc(
    env: Mapping[str, str], told: Mapping[str, Any], path: Path | None
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    urls: dict[str, tuple[str, ...]] = {}
    where: dict[str, str] = {}
    table = told.get("rpc", {})
    if not isinstance(table, dict):
        raise BadSetting(f'{path}: rpc is no table; write [rpc] and below it ethereum = ["https://..."]')
    for chain, value in table.items():
        words = value if isinstance(value, list) else str(value).split(",")
        urls[chain], where[f"rpc_{chain}"] = _endpoints(words, f"{path}: [rpc] {chain}"), str(path)
    for variable, value in env.items():
        if variable.startswith(PREFIX + _RPC) and value:
            chain = variable.removeprefix(PREFIX + _RPC).lower()
            urls[chain], where[f"rpc_{chain}"] = _endpoints(value.split(","), variable), variable
    return urls, where


def _urls(env: Mapping[str, str], told: Mapping[str, Any], path: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    table = told.get("url", {})
    if not isinstance(table, dict):
        raise BadSetting(f'{path}: url is no table; write [url] and below it binance = "https://..."')
    found = {name.lower(): (str(value).strip(), f"{path}: [url] {name}") for name, value in table.items()}
    for variable, value in env.items():
        if variable.startswith(PREFIX + _URL) and value:
            found[variable.removeprefix(PREFIX + _URL).lower()] = value.strip(), variable
    for url, place in found.values():
        if not url.startswith(("http://", "https://")):
            raise BadSetting(f"{place}: holds no URL; start it with https:// or http://")
    return {name: url for name, (url, _) in found.items()}, {f"url_{name}": place for name, (_, place) in found.items()}


def _endpoints(words: list[Any], place: str) -> tuple[str, ...]:
    urls = tuple(str(word).strip() for word in words if str(word).strip())
    for at, url in enumerate(urls, 1):
        if not url.startswith(("http://", "https://", "ws://", "wss://")):
            raise BadSetting(f"{place}: place {at} holds no URL; start it with https://, http://, wss:// or ws://")
    if not any(url.startswith("http") for url in urls):
        raise BadSetting(f"{place}: holds no http:// or https:// URL, which reading needs; add one")
    return urls


def _rows(told: Mapping[str, Any], table: str, path: Path | None) -> tuple[Mapping[str, Any], ...]:
    rows = told.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadSetting(f"{path}: {table} is no list of tables; write [[{table}]] above each row")
    return tuple(rows)


def _refuse_unknown(env: Mapping[str, str], told: Mapping[str, Any], path: Path | None) -> None:
    known = ", ".join(sorted(_BY_NAME))
    for key in told:
        if key not in _BY_NAME and key not in _TABLES:
            raise BadSetting(
                f"{path}: {key} is no setting; remove it, or use one of {known}, "
                "[rpc], [url], [[chain]], [[factory]], [[venue]]"
            )
    for variable in env:
        name = variable.removeprefix(PREFIX)
        if name not in (variable, "CONFIG") and not name.startswith((_RPC, _URL)) and name.lower() not in _BY_NAME:
            raise BadSetting(f"{variable} is no setting; unset it, or use one of {known} with {PREFIX} before it")
