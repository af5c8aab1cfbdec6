"""Nothing stays behind: the coordinator or the template is killed, frozen, thawed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runplane.events.causes import FailureCause
from runplane.executors.processes.contract import ProcessSettings
from runplane.executors.processes.started import JOB_PROGRAM, Started
from runplane.executors.processes.step_processes import StepProcesses
from runplane.storage.contract import AttemptRef
from services.multiprocess_room import PROGRAM, Room, alive, wait_until_gone

ORPHAN_S = 2.0

COORDINATOR = """
import json, sys, time
from pathlib import Path
from services.multiprocess_room import Room

with Room(Path(sys.argv[1]), **json.loads(sys.argv[2])) as room:
    told = [dict(room.said(room.start(k), "running").body) for k in ("forever", "stubborn", "grandchild")]
    template = Path(f"/proc/{told[0]['pid']}/stat").read_text().rsplit(")", 1)[1].split()[1]
    pids = [t["pid"] for t in told] + [told[2]["grandchild"], int(template)]
    print(json.dumps(pids), flush=True)
    sys.stdin.readline()
    room.runner.close()
    print("closed", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def coordinator(folder: Path, **settings: Any) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A coordinator in a process of its own with three running steps, one of them with a child; and the pids of them all."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(folder), json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        pids = json.loads(process.stdout.readline())
        assert all(alive(p) for p in pids)
        yield process, pids
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


@pytest.mark.parametrize("settings", [{}, {"fork": False, "import_here": False}], ids=["template", "spawn"])
def test_the_coordinator_is_killed_and_nothing_stays(tmp_path: Path, settings: dict[str, bool]) -> None:
    with coordinator(tmp_path, **settings) as (process, pids):
        process.kill()

        wait_until_gone(pids, ORPHAN_S)


def test_a_frozen_coordinator_that_comes_back_fenced_ends_its_children(tmp_path: Path) -> None:
    with coordinator(tmp_path) as (process, pids):
        assert process.stdin is not None
        os.kill(process.pid, signal.SIGSTOP)
        process.stdin.write("you are fenced\n")
        process.stdin.flush()
        assert all(alive(p) for p in pids)

        os.kill(process.pid, signal.SIGCONT)

        wait_until_gone(pids, ORPHAN_S)


def test_the_coordinator_is_killed_while_the_code_is_imported(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    (tmp_path / "program.py").write_text(PROGRAM)
    script = "import sys; from pathlib import Path; from services.multiprocess_room import Room; Room(Path(sys.argv[1]), sys.argv[2]).runner.prepare()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), code], env=env)
    limit = time.monotonic() + 20
    while not (started.exists() and started.read_text()):
        assert time.monotonic() < limit
        time.sleep(0.01)

    process.kill()
    process.wait()

    wait_until_gone([int(started.read_text())], ORPHAN_S)


def test_who_started_a_template_ahead_is_killed_and_it_ends(tmp_path: Path) -> None:
    script = (
        "import sys; from runplane.executors.processes.started import JOB_PROGRAM, Started;"
        " print(Started(JOB_PROGRAM).process.pid, flush=True); sys.stdin.read()"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        template = int(process.stdout.readline())

        process.kill()

        wait_until_gone([template], ORPHAN_S)


def test_a_template_started_ahead_is_discarded_unless_it_was_taken() -> None:
    left, taken = Started(JOB_PROGRAM), Started(JOB_PROGRAM).take()

    left.discard()
    taken.discard()

    assert (left.process.returncode, taken.process.poll()) == (-signal.SIGKILL, None)
    taken.sock.close()
    assert taken.process.wait(timeout=30) == 0, "it ends by itself when nobody is there to tell it anything"


def test_a_template_started_ahead_that_is_killed_before_it_is_told_anything_is_started_anew(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ahead = Started(command, env)
    ahead.process.kill()
    processes = StepProcesses(ProcessSettings(command, {}, env=env), ahead)

    processes.prepare()
    processes.close()

    assert ahead.process.returncode == -signal.SIGKILL


def test_the_template_is_killed_and_what_ran_is_lost_and_a_new_one_goes_on(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        done = room.outcome(room.start("ok")).body
        refs = [room.start(k) for k in ("forever", "stubborn", "grandchild")]
        told = [room.said(r, "running").body for r in refs]
        pids = [*(t["pid"] for t in told), told[2]["grandchild"]]

        os.kill(done["parent"], signal.SIGKILL)

        gone = [room.gone(r) for r in refs]
        assert {g.cause for g in gone} == {FailureCause.LOST}
        assert {g.evidence for g in gone} == {"the template process was killed by SIGKILL, and its children with it"}
        wait_until_gone(pids, ORPHAN_S)
        again = room.outcome(room.start("ok[again]")).body
        assert again["parent"] != done["parent"]


def test_a_template_that_is_killed_while_it_imports_is_started_anew(tmp_path: Path) -> None:
    started = tmp_path / "started"
    hangs_once = f"""
import os, time
from pathlib import Path
started = Path({str(started)!r})
first = not started.exists()
started.open("a").write(f"{{os.getpid()}}\\n")
time.sleep(600 if first else 0)
"""
    with Room(tmp_path, hangs_once) as room:
        ref = room.start("ok")
        limit = time.monotonic() + 60
        while not (started.exists() and started.read_text().endswith("\n")):
            assert time.monotonic() < limit, "the import did not begin"
            time.sleep(0.01)

        os.kill(int(started.read_text()), signal.SIGKILL)

        room.hear(partial(has_ended, room, ref))
        assert [e.kind for e in room.events(ref)] == ["STEP_SUCCESS"], "the import was not begun anew"


def test_a_template_that_hears_a_signal_of_its_group_goes_on(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        before = room.outcome(room.start("ok")).body["parent"]

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(before, number)

        assert room.outcome(room.start("ok[2]")).body["parent"] == before


def test_an_outcome_written_before_the_template_died_stands(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        refs = [room.start(f"ok[{i}]") for i in range(20)]
        parent = room.outcome(refs[0]).body["parent"]

        os.kill(parent, signal.SIGKILL)

        for ref in refs:
            room.hear(partial(has_ended, room, ref))
        done = {ref for ref in refs if room.events(ref)}
        lost = set(room.all_gone())
        assert refs[0] in done
        assert done | lost == set(refs)
        assert done & lost == set()


def has_ended(room: Room, ref: AttemptRef) -> bool:
    return bool(room.events(ref)) or ref in room.all_gone()
