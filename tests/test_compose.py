"""docker-compose.yml and Dockerfile: what they promise, and every service's own command and healthcheck as processes.

No container engine is needed: the file is read as one would read it, names of containers become local addresses, and
each command runs against servers that are started from the file's own command lines.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from indexer import known
from indexer.errors import Refused
from indexer.sim.server import Server
from indexer.sim.world import HABITS, World
from tests.commands import run, settled
from tests.lab import compose
from tests.roles import Role, eventually
from workers.local.postgres import Postgres, _find_binaries
from workers.local.process import free_port
from workers.local.valkey import Valkey, _find_binary
from workers.local.world import write_settings

ROOT = Path(__file__).parents[1]
FILE = compose.read(ROOT / "docker-compose.yml")
SERVICES = FILE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "gazetteer")
SECRETS = {"POSTGRES_PASSWORD": "p0stgr3s", "BROKER_PASSWORD": "br0k3r", "FLOWER_PASSWORD": "fl0w3r"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(word):
    return [line.removeprefix(word).strip() for line in DOCKERFILE.splitlines() if line.startswith(word + " ")]


def options(command, dash):
    """`--name value` or `-c name=value` of a server's command line."""
    if dash == "-c":
        return dict(each.split("=", 1) for at, each in enumerate(command) if command[at - 1] == "-c")
    return dict(zip((word.removeprefix("--") for word in command[1::2]), command[2::2], strict=True))


def test_the_services_are_the_roles_of_one_machine():
    followers = {f"follower-{chain}" for chain in HABITS}
    assert set(SERVICES) == {"postgres", "redis", "migrate", "worker", "beat", "flower"} | followers


def test_nothing_can_be_reached_but_flower_and_that_only_from_this_machine():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"flower": ["127.0.0.1:5555:5555"]}
    assert not any("network_mode" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_without_a_password_nothing_starts_and_the_message_names_it(name):
    with pytest.raises(compose.Missing, match=rf"{name}: set it in \.env"):
        compose.filled(FILE, {**SECRETS, name: ""})


def test_no_password_is_written_down():
    text = (ROOT / "docker-compose.yml").read_text()
    for found in re.finditer(r"(?:PASSWORD|AUTH|_URL)\w*: (.*)|--requirepass\", \"([^\"]*)", text):
        value = found[1] or found[2]
        assert re.search(r"\$\{\w+:(\?|-\})", value), value
    example = (ROOT / ".env.example").read_text()
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name in SECRETS)
    named = set(re.findall(r"\$\{(\w+):", text))
    assert named == set(re.findall(r"^(\w+)=", example, re.MULTILINE)), "the example lists what may be set"


def test_workers_are_given_the_credentials_of_every_venue():
    given = SERVICES["worker"]["environment"]
    assert {name for venue in known.venues() for name in venue.secrets} <= set(given)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_restarts_says_whether_it_is_healthy_and_may_be_scaled(name):
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert "container_name" not in service
    assert service["stop_grace_period"].endswith("s")


@pytest.mark.parametrize("name", OURS)
def test_our_containers_wait_for_the_migration_and_may_do_little(name):
    service = SERVICES[name]
    if name == "migrate":
        assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    else:
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"]
    assert service["init"]


def test_a_worker_may_finish_its_tasks_before_it_is_killed():
    with_margin_s = int(SERVICES["worker"]["stop_grace_period"][:-1])
    (task,) = [each.default for each in __import__("indexer.settings").settings.SETTINGS if each.name == "task_s"]
    assert with_margin_s >= task + 10


def test_what_the_servers_keep_is_in_volumes_that_have_names():
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["redis"]["volumes"] == ["broker:/data"]
    assert SERVICES["worker"]["volumes"] == ["raw:/var/lib/gazetteer"]
    assert set(FILE["volumes"]) == {"postgres", "broker", "raw"}


def test_the_servers_are_set_up_as_those_of_one_machine(server_root):
    theirs = options(SERVICES["redis"]["command"], "--")
    own = options(Valkey(server_root / "never")._command(), "--")
    kept = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy", "client-output-buffer-limit")
    assert {key: theirs[key] for key in kept} == {key: own[key] for key in kept}
    assert int(theirs["maxclients"]) >= 1000
    (server_root / "nowhere").mkdir(exist_ok=True)
    theirs, own = (
        options(each, "-c") for each in (SERVICES["postgres"]["command"], Postgres(server_root / "nowhere")._command())
    )
    assert int(theirs.pop("max_connections")) >= int(own["max_connections"])
    assert theirs == {key: own[key] for key in theirs}
    assert {"random_page_cost", "shared_buffers", "max_wal_size"} <= set(theirs)


def test_postgres_understands_its_command_line(postgres_server):
    command = SERVICES["postgres"]["command"]
    for name, value in options(command, "-c").items():
        asked = [str(_find_binaries() / "postgres"), "-C", name, "-D", str(postgres_server._data), *command[1:]]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        unit = {"shared_buffers": 8192, "max_wal_size": 2**20}.get(name)
        number = {"MB": 2**20, "GB": 2**30}
        assert told == (str(int(value[:-2]) * number[value[-2:]] // unit) if unit else value)


def test_the_image_holds_hashed_packages_names_no_index_and_is_nobody_in_particular():
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-index" in installs[1]
    assert not re.search(r"https?://|index-url|find-links", DOCKERFILE)
    assert len(instructions("FROM")) == 2
    assert instructions("USER") == ["10001:10001"]
    assert json.loads(instructions("ENTRYPOINT")[0]) == ["gazetteer"]
    assert 'gazetteer = "workers.cli:main"' in (ROOT / "pyproject.toml").read_text()


def test_what_the_image_copies_is_there_and_not_ignored():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied == kept
    assert all((ROOT / each).exists() for each in copied)
    for secret in (".env", "gazetteer.toml", ".git"):
        assert not any(fnmatch.fnmatch(secret, each) for each in kept)


@pytest.fixture
def broker(tmp_path):
    """The service `redis` from its own command line, on a port of this machine."""
    command = compose.filled(SERVICES["redis"]["command"], SECRETS)
    port, data = free_port(0), Path(tempfile.mkdtemp(prefix="gz-"))
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)]
    log = (tmp_path / "redis.log").open("wb")
    process = subprocess.Popen([str(_find_binary()), *command[1:], *place], stdout=log, stderr=log)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(20)
    log.close()
    shutil.rmtree(data)


@pytest.fixture
def world():
    """Three small chains at one address."""
    habits = {name: replace(each, history_blocks=3_000, history_pools=60) for name, each in HABITS.items()}
    made = World("compose", epoch_s=int(time.time()) - 1_000, habits=habits)
    started = time.monotonic()
    server = Server(made.sites, pump=lambda: made.advance_to(60 + time.monotonic() - started))
    server.start()
    yield made, server.address
    server.close()


@pytest.fixture
def containers(world, broker, empty_postgres_url, tmp_path):
    """Starts a service as a process, and runs its healthcheck; what a container would find by name is local."""
    made, address = world
    write_settings(tmp_path, made.chain_rows(address), made.factory_rows())
    database = urlsplit(empty_postgres_url)
    secrets = SECRETS | {"POSTGRES_PASSWORD": database.password, "GAZETTEER_VENUES": "alpaca"}  # disabled: no key
    for name in HABITS:
        urls = [f"{scheme}://{address}/{name}/a" for scheme in ("http", "ws")]
        secrets[f"GAZETTEER_RPC_{name.upper()}"] = ",".join(urls)
    local = {
        "postgres:5432/gazetteer": f"127.0.0.1:{database.port}{database.path}",
        "redis:6379": broker,
        "/var/lib/gazetteer": str(tmp_path / "raw"),
        "0.0.0.0": "127.0.0.1",
    }
    with_broker = _Containers(tmp_path, compose.filled(SERVICES, secrets), local)
    yield with_broker
    with_broker.close()


class _Containers:
    def __init__(self, root, services, local):
        self._root, self._services, self._local = root, services, local
        self._port = free_port(0)
        self._started = []

    def _here(self, word):
        for name, place in self._local.items():
            word = word.replace(name, place)
        return word

    def _env(self, name):
        told = {key: self._here(value) for key, value in self._services[name]["environment"].items()}
        return told | {"GAZETTEER_CONFIG": str(self._root / "gazetteer.toml")}

    def _port_of(self, name):
        return ["--port", str(self._port)] if name == "flower" else []

    def start(self, name):
        words = [self._here(word) for word in self._services[name]["command"]]
        role = Role(self._root / f"{name}.log", self._env(name), *words, *self._port_of(name))
        self._started.append(role)
        return role

    def is_healthy(self, name):
        kind, program, *words = self._services[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "gazetteer")
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "workers", *words, *self._port_of(name)],
            env={key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")} | self._env(name),
            cwd=self._root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode in (0, 1), asked.stderr
        assert asked.returncode == 0 or asked.stderr.startswith("gazetteer: "), asked.stderr
        return asked.returncode == 0

    def close(self):
        for role in reversed(self._started):
            role.stop()


@pytest.mark.slow
def test_every_service_comes_up_by_its_own_command_and_its_own_healthcheck_says_so(containers, db_of):
    for name in OURS:
        assert not containers.is_healthy(name), f"{name} is said to be healthy before it runs"
    migrated = containers.start("migrate")
    assert migrated.process.wait(120) == 0, migrated.said()
    assert containers.is_healthy("migrate")
    roles = {name: containers.start(name) for name in OURS if name != "migrate"}
    for name, role in roles.items():
        eventually(lambda name=name: containers.is_healthy(name), 120, what=f"health of {name}")
        assert role.is_up, role.said()[-2000:]
    for name in HABITS:
        eventually(lambda name=name: db_of(name) > 0, 60, what=f"pools of {name}")
    worker = roles["worker"]
    assert len(worker.children()) == 3, "a worker for each lane"
    worker.process.terminate()
    assert worker.process.wait(60) == 0, worker.said()[-2000:]
    eventually(lambda: not containers.is_healthy("worker"), what="the end of the workers")


@pytest.fixture
def db_of(empty_postgres_url):
    """How many pools of a chain a reader sees."""

    def count(chain):
        psql = subprocess.run(
            [str(_find_binaries() / "psql"), "-Atc", f"select count(*) from api.pools where chain = '{chain}'"],
            env=os.environ | {"PGSERVICEFILE": "/dev/null"} | _libpq(empty_postgres_url),
            capture_output=True,
            text=True,
            check=True,
        )
        return int(psql.stdout)

    return count


def _libpq(url):
    parts = urlsplit(url)
    names = ("PGHOST", parts.hostname), ("PGPORT", str(parts.port)), ("PGUSER", parts.username)
    return dict(names) | {"PGPASSWORD": parts.password, "PGDATABASE": parts.path[1:]}


def test_the_broker_answers_only_those_who_know_its_password(broker):
    def answers():
        try:
            with Redis.from_url(f"redis://:{SECRETS['BROKER_PASSWORD']}@{broker}/0") as client:
                return client.ping()
        except RedisError:
            return False

    eventually(answers, what="the broker")
    with Redis.from_url(f"redis://{broker}/0") as client, pytest.raises(AuthenticationError):
        client.ping()
    with Redis.from_url(f"redis://:wrong@{broker}/0") as client, pytest.raises(AuthenticationError):
        client.ping()
    with Redis.from_url(f"redis://:{SECRETS['BROKER_PASSWORD']}@{broker}/0") as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_database_is_healthy_by_its_own_command(postgres_server):
    kind, program, *words = SERVICES["postgres"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "pg_isready")
    port = str(urlsplit(postgres_server.url()).port)
    asked = [str(_find_binaries() / program), *words, "-p"]
    assert subprocess.run([*asked, port], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*asked, str(free_port(0))], check=False, capture_output=True).returncode != 0


def test_flower_is_not_opened_to_others_without_a_password(monkeypatch, valkey_url):
    with settled(monkeypatch, GAZETTEER_BROKER_URL=valkey_url):
        result = run("flower", "--address", "0.0.0.0")
    assert isinstance(result.exception, Refused)
    assert "GAZETTEER_FLOWER_AUTH" in str(result.exception)
