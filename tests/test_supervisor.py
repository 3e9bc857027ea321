"""Children are real processes: restarted when they die, ended in order, and never left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import DatabaseUnavailable, Refused
from workers.local import data, supervisor
from workers.local.process import alive, ended, kill
from workers.local.supervisor import Role, Supervisor
from workers.local.valkey import Valkey

pytestmark = pytest.mark.slow

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
print(child.pid, flush=True)
time.sleep(600)
"""
WAIT_S = 60.0


def role(name: str, code: str = SLEEPER, *, stage: int = 0, patience_s: float = 5.0) -> Role:
    return Role(name=name, argv=(sys.executable, "-c", code), stage=stage, patience_s=patience_s)


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def said(run: Supervisor, name: str) -> str:
    log = run.logs / f"{name}.log"
    return log.read_text() if log.exists() else ""


@pytest.fixture
def run(tmp_path: Path):
    made = Supervisor(logs=tmp_path, cwd=tmp_path, environment=lambda: dict(os.environ))
    yield made
    made.hurry.set()
    made.end()


def test_a_killed_child_is_started_again(run: Supervisor) -> None:
    run.keep(role("a"))
    run.keep(role("b"))
    first, other = run.pid("a"), run.pid("b")
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        run.look()
        return run.pid("a") not in (None, first)

    until(another, "a second process")
    assert run.pid("b") == other
    assert run.restarts == 1


def test_a_child_that_dies_at_once_is_started_ever_more_rarely(run: Supervisor) -> None:
    run.keep(role("a", "raise SystemExit(3)"))
    pauses = []
    for _ in range(2):
        until(lambda: (run.look(), run.pid("a") is None)[1], "its end")
        pause = run._children[0].pause
        pauses.append(pause.pause_s)
        pause.next_at = 0.0
        run.look()
    assert pauses == [2 * supervisor.FIRST_PAUSE_S, 4 * supervisor.FIRST_PAUSE_S]


def test_a_pause_never_exceeds_its_limit_and_a_minute_of_health_forgets_it() -> None:
    pause = supervisor._Pause()
    for _ in range(20):
        pause.started()
        pause.failed()
    assert pause.pause_s == supervisor.LONGEST_PAUSE_S
    pause.started_at = time.monotonic() - supervisor.HEALTHY_S - 1
    pause.failed()
    assert pause.pause_s == 2 * supervisor.FIRST_PAUSE_S


def test_what_a_dead_child_had_started_is_ended_with_it(run: Supervisor) -> None:
    run.keep(role("a", PARENT))
    until(lambda: said(run, "a").strip().isdigit(), "the grandchild")
    grandchild = int(said(run, "a"))
    os.kill(run.pid("a"), signal.SIGKILL)
    until(lambda: (run.look(), gone(grandchild))[1], "the grandchild's end")


def test_stages_end_one_after_the_other_and_the_stubborn_are_killed(run: Supervisor) -> None:
    tell = "import signal, sys, time\ndef bye(*_): print(time.monotonic(), flush=True); sys.exit()\n"
    tell += "signal.signal(signal.SIGTERM, bye)\nprint('up', flush=True)\ntime.sleep(600)"
    run.keep(role("last", tell, stage=2))
    run.keep(role("first", tell, stage=0))
    run.keep(role("stubborn", STUBBORN, stage=1, patience_s=0.3))
    for name in ("last", "first", "stubborn"):
        until(lambda name=name: "up" in said(run, name), name)
    pids = [run.pid(name) for name in ("last", "first", "stubborn")]
    run.end()
    assert all(gone(pid) for pid in pids)
    first, last = (float(said(run, name).split()[1]) for name in ("first", "last"))
    assert last - first >= 0.3


def test_the_second_request_to_end_kills_what_would_not(run: Supervisor) -> None:
    run.keep(role("stubborn", STUBBORN, patience_s=WAIT_S))
    until(lambda: "up" in said(run, "stubborn"), "the child")
    pid = run.pid("stubborn")
    run._asked(signal.SIGINT, None)
    assert run.stop.is_set()
    assert not run.hurry.is_set()
    threading.Timer(0.2, run._asked, (signal.SIGINT, None)).start()
    started = time.monotonic()
    run.end()
    assert gone(pid)
    assert time.monotonic() - started < WAIT_S


def test_a_broker_that_crashes_comes_back_at_the_same_place(run: Supervisor, server_root: Path) -> None:
    server = Valkey(server_root / "crash")
    run.serve(server)
    url = server.url
    server._process.kill()
    until(lambda: (run.look(), server.is_up)[1], "the broker")
    assert server.url == url


def test_a_server_that_was_found_running_is_started_again_when_it_goes(run: Supervisor, server_root: Path) -> None:
    earlier, found = Valkey(server_root / "found"), Valkey(server_root / "found")
    earlier.start()
    run.serve(found)
    assert found.poll() is None
    earlier.stop()
    until(lambda: (run.look(), found.is_up)[1], "another server")


def test_a_server_that_does_not_come_back_is_tried_again_and_roles_go_on(run: Supervisor) -> None:
    class Broken:
        """A server whose disk is full for a while."""

        tries, is_up = 0, True

        def poll(self) -> int | None:
            return 1 if self.tries < 3 else None

        def start(self) -> None:
            self.tries += 1
            if self.tries == 2:
                raise DatabaseUnavailable("no space left on device")

        def stop(self) -> None: ...
        def kill(self) -> None: ...

    server = Broken()
    run.serve(server)
    run.keep(role("a"))
    pid = run.pid("a")
    until(lambda: (run.look(), server.tries == 3)[1], "a third start")
    assert run.pid("a") == pid


SCRIPT = """
import os, sys
from pathlib import Path
from workers.local.supervisor import Role, Supervisor
root = Path(sys.argv[1])
run = Supervisor(logs=root, cwd=root, environment=lambda: dict(os.environ))
run.heed_signals()
for name in ("a", "b"):
    run.keep(Role(name=name, argv=(sys.executable, "-c", {code!r}), stage=0, patience_s=5))
print(run.pid("a"), run.pid("b"), flush=True)
run.watch(until=lambda: False, turn=lambda: None)
run.end()
"""


def start_supervisor(root: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    script = textwrap.dedent(SCRIPT).format(code=SLEEPER)
    process = subprocess.Popen([sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE, text=True)
    return process, [int(word) for word in process.stdout.readline().split()]


def test_sigterm_ends_all_children(tmp_path: Path) -> None:
    process, pids = start_supervisor(tmp_path)
    with process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert all(gone(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    process, pids = start_supervisor(tmp_path)
    with process:
        process.kill()
        process.wait(WAIT_S)
    for pid in pids:
        until(lambda pid=pid: gone(pid), f"the end of {pid}")


def test_ended_tells_a_running_child_from_a_dead_one() -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL, start_new_session=True)
    assert not ended(process)
    kill(process)
    until(lambda: ended(process), "its end")
    assert process.returncode == -signal.SIGKILL
    assert ended(process)


def test_a_second_supervisor_on_one_directory_is_refused(tmp_path: Path) -> None:
    first, second = data.Register(tmp_path / "r"), data.Register(tmp_path / "r")
    first.make()
    with first.held("supervisor", 0.0):
        assert second.holder() == ("supervisor", os.getpid())
        with (
            pytest.raises(Refused, match=f"in use by gazetteer .process {os.getpid()}"),
            second.held("supervisor", 5.0),
        ):
            pass
    assert first.holder() is None
    with second.held("supervisor", 0.0):
        pass


def test_a_query_on_a_stopped_register_is_waited_for(tmp_path: Path) -> None:
    register = data.Register(tmp_path)
    register.make()
    held, release = threading.Event(), threading.Event()

    def ask() -> None:
        with register.held("query", 0.0):
            held.set()
            release.wait(WAIT_S)

    asking = threading.Thread(target=ask)
    asking.start()
    assert held.wait(WAIT_S)
    with pytest.raises(Refused, match="in use by a query"), register.held("supervisor", 0.0):
        pass
    threading.Timer(0.3, release.set).start()
    with register.held("supervisor", WAIT_S):
        assert release.is_set()
    asking.join()


def gone(pid: int) -> bool:
    """Ended; one that nobody has reaped yet counts, as its parent may be this very test."""
    if not alive(pid):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True
