"""Starting, stopping and closing; what is announced; what a step's process is given."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runplane.engine.snapshot import StoredOutput
from runplane.events.causes import FailureCause
from runplane.executors.contract import Announces, PartFailed, RunnerNote, StepGone, StepWrote, WritesThroughDriver
from runplane.executors.failure import CodeLoadError
from runplane.storage.contract import AttemptRef
from services.multiprocess_room import Room, alive, wait_until_gone


def test_steps_are_forked_from_one_template_that_is_no_child_of_user_code(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        outcomes = [room.outcome(room.start(f"ok[{i}]")).body for i in range(5)]

    assert len({o["pid"] for o in outcomes}) == 5
    assert len({o["parent"] for o in outcomes}) == 1
    assert os.getpid() not in {o["parent"] for o in outcomes}


def test_a_step_that_writes_more_than_is_taken_waits_and_loses_nothing(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        full = threading.Event()
        room.runner.has_enough = full.is_set
        ref = room.start("many_events")
        room.hear(lambda: bool(room.events(ref)))
        full.set()
        heard = -1
        while heard < len(room.events(ref)):
            heard = len(room.events(ref))
            room.listen(1.0)

        full.clear()
        room.outcome(ref)

    assert heard < 20_000, "all was read though there was no room for it"
    assert [e.body["i"] for e in room.events(ref)[:-1]] == list(range(20_000))


def test_a_step_that_writes_more_than_is_taken_can_be_stopped(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("many_events")
        room.hear(lambda: bool(room.events(ref)))
        room.runner.has_enough = lambda: True

        room.runner.stop(ref, 0.2, FailureCause.CANCELED)

        assert room.gone(ref).cause is FailureCause.CANCELED


def test_a_step_that_edits_a_global_is_not_seen_by_the_next(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        seen = [room.outcome(room.start(f"edit[{i}]")).body["saw"] for i in range(3)]

    assert seen == [False, False, False]


def test_the_runner_has_its_abilities(tmp_path: Path) -> None:
    with Room(tmp_path) as room, Room(tmp_path) as other:
        assert isinstance(room.runner, Announces)
        assert isinstance(room.runner, WritesThroughDriver)
        assert room.runner.worker_id != other.runner.worker_id


def test_what_is_announced_is_dagsters(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        pid = os.getpid()
        opening = room.runner.opening(["a", "b"])[0].body
        closing = room.runner.closing()[0].body
        launching = room.runner.launching(AttemptRef("a", 2))[0]
        claimed = room.runner.claim_body(AttemptRef("a", 2))

    assert opening["message"] == f"Executing steps using multiprocess executor: parent process (pid: {pid})"
    assert opening["metadata"] == {"pid": str(pid), "step_keys": "['a', 'b']"}
    assert closing["message"].startswith("Multiprocess executor: parent process exiting after ")
    assert closing["message"].endswith(f" (pid: {pid})")
    assert (launching.kind, launching.step, launching.n) == ("STEP_WORKER_STARTING", "a", 2)
    assert launching.body["message"] == 'Launching subprocess for "a".'
    assert launching.body["marker_start"] == "step_process_start"
    assert claimed == {"message": 'Executing step "a" in subprocess.', "marker_end": "step_process_start"}


def test_a_plan_of_any_size_opens_with_one_small_event(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        keys = room.runner.opening([f"step_{i}" for i in range(10_000)])[0].body["metadata"]["step_keys"]

    assert keys.endswith(" and 9000 more")
    assert len(keys) < 20_000


def test_the_capture_of_logs_is_announced_before_anything_the_step_writes(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("ok")
        outcome = room.outcome(ref)

    kinds = [type(s) for s in room.signals]
    assert kinds == [RunnerNote, StepWrote]
    captured = room.notes("LOGS_CAPTURED")[0]
    assert captured.step is None
    assert captured.body["step_keys"] == ["ok"]
    assert captured.body["log_key"][:2] == ["run", "compute_logs"]
    assert captured.body["message"] == f"Capturing logs for process (pid: {outcome.body['pid']})."


def test_a_death_is_said_in_dagsters_words(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        room.gone(room.start("exit_code"))

        message = "Multiprocess executor: child process for step exit_code unexpectedly exited with code 3."
        assert [e.body["message"] for e in room.notes()] == [message]


def test_events_come_in_order_and_none_is_missing(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        refs = [room.start(f"events[{i}]") for i in range(8)]
        for ref in refs:
            room.outcome(ref)

        assert all([e.body.get("i") for e in room.events(ref)][:-1] == list(range(1000)) for ref in refs)
        assert {s.nonce for s in room.signals if isinstance(s, StepWrote) and s.ref == refs[3]} == {
            "nonce of events[3]"
        }


def test_large_events_and_orders_fit(tmp_path: Path) -> None:
    inputs = {"many": [StoredOutput("run", f"step_{i}", "result", None, {"path": "x" * 200}) for i in range(10_000)]}
    with Room(tmp_path) as room:
        large = room.start("large_event")
        room.outcome(large)
        outcome = room.outcome(room.start("large_input", inputs=inputs))

    assert len(room.events(large)[0].body["message"]) == 5_000_000
    assert outcome.body["inputs"] == 10_000


def test_an_error_of_the_runner_itself_is_told_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        running = room.start("forever")
        pid = room.said(running, "running").body["pid"]
        room.store.open = lambda log_key: 1 // 0  # type: ignore[method-assign]

        room.start("ok")
        room.hear(lambda: any(isinstance(s, PartFailed) for s in room.signals))
        told = next(s for s in room.signals if isinstance(s, PartFailed))

        assert isinstance(told.error, ZeroDivisionError)
        wait_until_gone([pid], 2)


# Stopping ------------------------------------------------------------------------------------------------------------------


def test_a_stop_raises_in_user_code_and_its_outcome_comes_before_its_end(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("forever")
        room.said(ref, "running")

        room.runner.stop(ref, 20.0, FailureCause.CANCELED)
        gone = room.gone(ref)

        failure, settled = room.events(ref)[-2:]
        assert failure.body == {"cause": "CANCELED"}
        assert settled.body["message"] == "Multiprocess executor: interrupted all active child processes"
        assert (gone.cause, gone.evidence) == (FailureCause.CANCELED, "it was told to stop and has ended")
        assert room.printed(ref) == b"interrupted\n"
        assert [e.body["message"] for e in room.notes()] == [
            "Multiprocess executor: received termination signal - forwarding to active child processes"
        ]


def test_one_that_does_not_stop_is_killed_with_all_of_its_group(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("grandchild")
        told = room.said(ref, "running").body
        stubborn = room.start("stubborn")
        other = room.said(stubborn, "running").body

        room.runner.stop(ref, 0.3, FailureCause.TIMED_OUT)
        room.runner.stop(stubborn, 0.3, FailureCause.CANCELED)

        assert room.gone(stubborn).evidence == "it was told to stop; it did not stop within 0.3 s"
        assert room.gone(ref).cause is FailureCause.TIMED_OUT
        wait_until_gone([told["pid"], told["grandchild"], other["pid"]], 2)
        assert [e.body["message"] for e in room.notes()] == [
            "Multiprocess executor: received termination signal - forwarding to active child processes",
            "Multiprocess executor: interrupted all active child processes",
        ]


def test_stopping_again_and_stopping_what_is_not_there_is_said_once(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("forever")
        room.said(ref, "running")
        strange = AttemptRef("strange", 1)

        for _ in range(3):
            room.runner.stop(ref, 20.0, FailureCause.CANCELED)
            room.runner.stop(strange, 20.0, FailureCause.CANCELED)
        room.gone(ref)
        room.runner.stop(ref, 20.0, FailureCause.CANCELED)
        room.outcome(room.start("ok"))

        assert [s.ref for s in room.signals if isinstance(s, StepGone)].count(ref) == 1
        assert [s.ref for s in room.signals if isinstance(s, StepGone)].count(strange) == 1


def test_a_stop_that_comes_at_once_is_heard(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        room.runner.prepare()
        refs = [room.start(f"forever[{i}]") for i in range(10)]
        for ref in refs:
            room.runner.stop(ref, 60.0, FailureCause.CANCELED)

        for ref in refs:
            assert room.gone(ref).cause is FailureCause.CANCELED


def test_what_a_former_coordinator_started_is_lost_and_what_runs_here_is_not(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("forever")
        room.said(ref, "running")

        room.runner.probe(ref)
        room.runner.probe(AttemptRef("earlier", 1))

        gone = room.gone(AttemptRef("earlier", 1))
        assert gone.cause is FailureCause.LOST
        assert not any(isinstance(s, StepGone) and s.ref == ref for s in room.signals)


# Closing -------------------------------------------------------------------------------------------------------------------


def test_closing_returns_when_all_is_gone(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        told = [
            room.said(room.start(f"{kind}[{i}]"), "running").body
            for i, kind in enumerate(["forever", "stubborn", "grandchild"])
        ]
        began = time.monotonic()

        room.runner.close()

        assert time.monotonic() - began < 2
        assert not any(alive(t["pid"]) for t in told)
        wait_until_gone([told[2]["grandchild"]], 1)


def test_closing_at_the_end_of_a_run_lets_the_last_step_end(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("at_exit")
        room.outcome(ref)
        room.runner.close()

        key = room.notes("LOGS_CAPTURED")[0].body["log_key"]
        chunk = room.store.read(key, "out", 0, 100)
        assert (chunk.data, chunk.complete) == (b"said at exit\n", True)


def test_closing_what_was_never_started_does_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path)

    room.runner.close()


# Importing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{}, {"fork": False, "import_here": False}, {"import_here": False, "preload": ("json",)}],
    ids=["template", "spawn", "forkserver with preload"],
)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f():\n    raise LookupError('no such thing')\nf()", "LookupError: no such thing"),
        ("import sys; sys.exit('not here')", "SystemExit: not here"),
        (
            "import os; os._exit(9)",
            "the process that imports the code left with exit code 9 before the import was done",
        ),
        (
            "import os; os.kill(os.getpid(), 11)",
            "the process that imports the code was killed by SIGSEGV before the import was done",
        ),
    ],
)
def test_an_import_that_fails_is_an_error_with_the_users_own_words(
    tmp_path: Path, settings: dict[str, Any], code: str, message: str
) -> None:
    room = Room(tmp_path, code, **settings)

    with pytest.raises(CodeLoadError) as caught:
        room.runner.prepare()

    assert caught.value.error.message.strip() == message
    room.runner.close()


def test_without_preparing_an_import_that_fails_ends_the_attempts(tmp_path: Path) -> None:
    with Room(tmp_path, "raise LookupError('no such thing')") as room:
        gone = room.gone(room.start("ok"))
        later = room.gone(room.start("ok[2]"))

    assert gone.cause is later.cause is FailureCause.FRAMEWORK
    assert "LookupError: no such thing" in gone.evidence


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    room = Room(tmp_path)
    object.__setattr__(room.processes._settings, "command", ["/no/such/program"])

    with pytest.raises(CodeLoadError, match="can not be started"):
        room.runner.prepare()


# Refusals ------------------------------------------------------------------------------------------------------------------

REFUSING = """
import errno, os
real, left = os.fork, [{times}]
def fork():
    if left[0]:
        left[0] -= 1
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
    return real()
os.fork = fork
"""


def test_a_fork_that_is_refused_is_tried_again(tmp_path: Path) -> None:
    with Room(tmp_path, REFUSING.format(times=6)) as room:
        refs = [room.start(f"ok[{i}]") for i in range(3)]
        for ref in refs:
            room.outcome(ref)

        assert len(room.notes("LOGS_CAPTURED")) == 3


def test_a_fork_that_is_always_refused_refuses_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runplane.executors.processes.step_processes.FORK_BACKOFF_S", 0.001)
    with Room(tmp_path, REFUSING.format(times=10**9)) as room:
        refused = room.refused(room.start("ok"))

    assert refused.evidence == "no process can be made for it: Resource temporarily unavailable"


def test_no_room_for_the_logs_refuses_the_attempt(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with Room(tmp_path) as room:
        refused = room.refused(room.start("ok"))

    assert "the files for its output can not be opened" in refused.evidence


# Memory --------------------------------------------------------------------------------------------------------------------


def test_a_kill_for_memory_is_told_from_another_kill(tmp_path: Path) -> None:
    vmstat = tmp_path / "proc" / "vmstat"
    vmstat.parent.mkdir()
    vmstat.write_text("oom_kill 3\n")
    with Room(tmp_path, memory_proc=tmp_path / "proc") as room:
        plain = room.gone(room.start("kill"))
        vmstat.write_text("oom_kill 4\n")
        for_memory = room.gone(room.start("kill[2]"))
        plain_again = room.gone(room.start("kill[3]"))

    assert plain.cause is plain_again.cause is FailureCause.CRASHED
    assert for_memory.cause is FailureCause.OUT_OF_MEMORY
