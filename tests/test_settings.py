"""Settings: every wrong value is named with its place and remedy, nothing half-starts, no secret is ever shown."""

import subprocess
import sys

import pytest

from indexer import settings
from indexer.errors import BadSetting
from tests.commands import run, settled
from workers import wiring

CANARY = "canary-4711-and-more-8899"
GENESIS = "0x" + "ab" * 32


def refused(env=None, file=None, directory=None):
    if file is not None:
        (directory / settings.FILE).write_text(file)
    with pytest.raises(BadSetting) as caught:
        settings.read(env or {}, directory)
    return str(caught.value)


def wrong_words():
    yield "database_url", "mysql://root:{canary}@h/x", "postgresql://user:password@host:5432/database"
    yield "broker_url", "amqp://guest:{canary}@h", "redis://"
    yield "chains", " , ", "ethereum,polygon"
    yield "history", "{canary}", "public, all or none"
    yield "requests_per_s", "fast{canary}", "0.1 to 100000"
    yield "requests_per_s", "0", "0.1 to 100000"
    yield "requests_per_s", "nan", "0.1 to 100000"
    yield "requests_per_s", "inf", "0.1 to 100000"
    yield "processes", "2.5", "1 to 10000"
    yield "processes", "0", "1 to 10000"
    yield "lease_s", "1h", "1 to 3600"
    yield "lease_s", "-5", "1 to 3600"
    yield "task_s", "9999", "0.5 to 3600"
    yield "halt_after_s", "", None
    yield "halt_after_s", "soon", "0.1 to 86400"
    yield "data_dir", "  ", "write a directory"
    yield "postgres_bin", "  ", "directory of initdb"


@pytest.mark.parametrize(("name", "word", "remedy"), list(wrong_words()))
def test_a_wrong_variable_is_named_with_its_remedy_and_its_value_is_not_shown(tmp_path, name, word, remedy):
    env = {f"GAZETTEER_{name.upper()}": word.format(canary=CANARY)}
    if remedy is None:
        assert settings.read(env, tmp_path).where[name] == "default"
        return
    told = refused(env, directory=tmp_path)
    assert told.startswith(f"GAZETTEER_{name.upper()} ")
    assert remedy in told
    assert CANARY not in told


@pytest.mark.parametrize(("name", "word", "remedy"), [each for each in wrong_words() if each[2] is not None])
def test_a_wrong_value_in_the_file_is_named_with_file_key_and_remedy(tmp_path, name, word, remedy):
    told = refused(file=f'{name} = "{word.format(canary=CANARY)}"\n', directory=tmp_path)
    assert f"{tmp_path / settings.FILE}: {name} " in told
    assert remedy in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("a = = 1", "is no TOML"),
        ("database = 'x'", "database is no setting; remove it, or use one of"),
        ("rpc = 'https://x'", "rpc is no table; write [rpc]"),
        ("[rpc]\nethereum = ['ftp://x/{canary}']", "[rpc] ethereum: place 1 holds no URL; start it with"),
        ("[rpc]\nethereum = ['https://x', 'x/{canary}']", "[rpc] ethereum: place 2 holds no URL"),
        ("[rpc]\nethereum = ['wss://x/{canary}']", "holds no http:// or https:// URL, which reading needs; add one"),
        ("[rpc]\nethereum = []", "holds no http:// or https:// URL"),
        ("chain = 'x'", "chain is no list of tables; write [[chain]] above each row"),
        ("[factory]\naddress = 'x'", "factory is no list of tables; write [[factory]] above each row"),
    ],
)
def test_a_wrong_file_is_named_with_the_place_in_it(tmp_path, file, said):
    told = refused(file=file.format(canary=CANARY), directory=tmp_path)
    assert told.startswith(str(tmp_path / settings.FILE))
    assert said in told
    assert CANARY not in told


def test_wrong_endpoints_in_the_environment_are_named_by_place_without_their_url(tmp_path):
    told = refused({"GAZETTEER_RPC_ETHEREUM": f"https://a.example, b.example/{CANARY}"}, directory=tmp_path)
    assert told.startswith("GAZETTEER_RPC_ETHEREUM: place 2 holds no URL")
    assert CANARY not in told


def test_a_misspelt_variable_is_named(tmp_path):
    told = refused({"GAZETTEER_DATABSE_URL": f"postgresql://u:{CANARY}@h/x"}, directory=tmp_path)
    assert told.startswith("GAZETTEER_DATABSE_URL is no setting; unset it, or use one of")
    assert CANARY not in told


def test_a_file_that_is_named_has_to_be_there(tmp_path):
    told = refused({"GAZETTEER_CONFIG": str(tmp_path / "none.toml")}, directory=tmp_path)
    assert told.startswith("GAZETTEER_CONFIG: there is no file")


def test_the_environment_goes_before_the_file_and_each_value_knows_where_it_comes_from(tmp_path):
    path = tmp_path / settings.FILE
    path.write_text("requests_per_s = 5\nprocesses = 3\nchains = ['ethereum']\n[rpc]\nethereum = ['https://a']\n")
    found = settings.read({"GAZETTEER_REQUESTS_PER_S": "7.5", "GAZETTEER_RPC_POLYGON": "https://b,wss://c"}, tmp_path)
    assert (found.requests_per_s, found.processes, found.chains) == (7.5, 3, ("ethereum",))
    assert found.rpc == {"ethereum": ("https://a",), "polygon": ("https://b", "wss://c")}
    assert found.where["requests_per_s"] == "GAZETTEER_REQUESTS_PER_S"
    assert found.where["processes"] == found.where["rpc_ethereum"] == str(path)
    assert found.where["rpc_polygon"] == "GAZETTEER_RPC_POLYGON"
    assert found.where["lease_s"] == "default"


@pytest.mark.parametrize(
    ("env", "file", "said"),
    [
        ({"GAZETTEER_CHAINS": "ethereum,atlantis"}, "", "GAZETTEER_CHAINS: there is no chain 'atlantis'"),
        ({"GAZETTEER_RPC_ATLANTIS": "https://x"}, "", "GAZETTEER_RPC_ATLANTIS: there is no chain 'atlantis'"),
        ({"GAZETTEER_TASK_S": "60", "GAZETTEER_LEASE_S": "60"}, "", "task_s = 60 has to be less than lease_s = 60"),
        ({}, "[[chain]]\nid = 0\n", "gazetteer.toml"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_by_every_command(monkeypatch, tmp_path, env, file, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / settings.FILE).write_text(file)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none", **env):
        for command in (["config"], ["migrate"], ["backfill", "--dry"], ["follow", "ethereum"]):
            result = run(*command)
            if command == ["migrate"] and "task_s" not in said:
                continue  # it reaches for the database before it needs a chain
            assert isinstance(result.exception, BadSetting), (command, result.exception)
            assert said in str(result.exception)


def test_a_role_with_a_wrong_setting_ends_at_once_with_one_line_and_code_2(tmp_path):
    env = {"PATH": "/usr/bin:/bin", "GAZETTEER_BROKER_URL": f"amqp://u:{CANARY}@h"}
    for words in (["worker"], ["beat"], ["follow", "ethereum"], ["flower"], ["migrate"], ["status"], ["config"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "workers", *words],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2, (words, done.stderr)
        assert done.stderr.startswith("gazetteer: GAZETTEER_BROKER_URL is not understood; write redis://"), words
        assert len(done.stderr.splitlines()) == 1
        assert CANARY not in done.stdout + done.stderr


SECRETS = {
    "GAZETTEER_DATABASE_URL": f"postgresql://me:{CANARY}@db.example:5432/x?password={CANARY}",
    "GAZETTEER_BROKER_URL": f"rediss://:{CANARY}@cache.example:6379/0",
    "GAZETTEER_RPC_ETHEREUM": f"https://node.example/v3/{CANARY},wss://u:{CANARY}@node.example/ws?key={CANARY}",
    "GAZETTEER_RPC_POLYGON": f"https://{CANARY}.quiknode.example/",
}


def test_config_shows_where_each_value_comes_from_and_no_secret(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / settings.FILE).write_text(
        f'requests_per_s = 5\n[rpc]\narbitrum = ["https://arb.example/{CANARY}?token={CANARY}"]\n'
    )
    with settled(monkeypatch, **SECRETS):
        result = run("config")
    assert result.exit_code == 0, result.exception
    assert CANARY not in result.output
    assert "canary" not in result.output
    assert "postgresql://db.example:5432" in result.output
    assert "rediss://cache.example:6379" in result.output
    assert "https://node.example (keyed)" in result.output
    assert "https://arb.example (keyed)" in result.output
    assert str(tmp_path / settings.FILE) in result.output
    for setting in settings.SETTINGS:
        assert setting.name in result.output


def test_public_endpoints_are_not_called_keyed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch):
        result = run("config")
        assert "keyed" not in result.output
        assert "https://ethereum-rpc.publicnode.com" in result.output
        assert wiring.chain_names() == ["ethereum", "polygon", "arbitrum"]


def test_a_chain_of_ones_own_is_added_by_the_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / settings.FILE).write_text(
        f"""
        chains = ["devnet"]
        [rpc]
        devnet = ["http://127.0.0.1:8545"]
        [[chain]]
        id = 31337
        name = "devnet"
        genesis_hash = "{GENESIS}"
        block_time_s = 1.0
        poll_s = 0.5
        finality_depth = 8
        native_symbol = "ETH"
        native_name = "Ether"
        """
    )
    with settled(monkeypatch):
        result = run("config")
        assert "rpc_devnet" in result.output
        assert "http://127.0.0.1:8545" in result.output
        assert wiring.chain("devnet").id == 31337
