"""``run``: what is listed, shown and followed; cancel and retry."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.instance.instance import Instance, RunRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jobs: str) -> Path:
    """With a home in it, for runs that several tests look at."""
    made = tmp_path_factory.mktemp("executed")
    (made / "home").mkdir()
    (made / "some_jobs.py").write_text(jobs)
    return made


@pytest.fixture(scope="module")
def run_of(folder: Path):
    """Execute a job in a process of its own, the first time that it is asked for; the id of its run."""

    @functools.cache
    def execute(job: str) -> str:
        run_id = str(uuid.uuid4())
        command = [sys.executable, "-m", "runplane", "job", "execute", "-f", "some_jobs.py", "-j", job]
        env = {**os.environ, "DAGSTER_HOME": str(folder / "home")}
        subprocess.run([*command, "--run-id", run_id], check=False, cwd=folder, env=env, capture_output=True)
        return run_id

    return execute


@pytest.fixture
def executed(run_of, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The same, and its home is the test's."""
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "home"))
    return run_of


@pytest.fixture
def stored(home: Path):
    """Runs that nobody started, oldest first."""
    with Instance.from_home(home) as instance:
        return [
            instance.create(RunRequest(job, tags={"team": team})) for job, team in [("a", "x"), ("b", "x"), ("a", "y")]
        ]


def names(done) -> list[str]:
    return [line.split()[1] for line in done.stdout.splitlines()]


def test_no_runs_is_said(home: Path, runplane) -> None:
    done = runplane("run", "list")

    assert (done.exit_code, done.stdout) == (0, "")
    assert "There is no run yet." in done.stderr


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        ([], ["a", "b", "a"]),
        (["--limit", "2"], ["a", "b"]),
        (["--job", "a"], ["a", "a"]),
        (["--tag", "team=x"], ["b", "a"]),
        (["--tag", "team=x", "--job", "a"], ["a"]),
        (["--status", "not_started"], ["a", "b", "a"]),
        (["--status", "SUCCESS"], []),
    ],
)
def test_runs_are_listed_newest_first_and_filtered(stored, runplane, words: list[str], jobs: list[str]) -> None:
    assert names(runplane("run", "list", *words)) == jobs


def test_pages_of_a_list_for_programs(stored, runplane) -> None:
    first = json.loads(runplane("run", "list", "--limit", "2", "--json").stdout)
    second = json.loads(runplane("run", "list", "--limit", "2", "--json", "--cursor", first["cursor"]).stdout)

    assert [r["run_id"] for r in first["runs"] + second["runs"]] == [r.run_id for r in reversed(stored)]
    assert second["cursor"] is None


def test_a_run_is_found_by_the_first_characters_of_its_id(stored, runplane) -> None:
    done, too_short = (runplane("run", "show", stored[1].run_id[:n]) for n in (8, 3))

    assert done.stdout.startswith(f"{stored[1].run_id}  b  created ")
    assert too_short.exit_code == 2
    assert "The beginning of an id has at least 4 characters." in too_short.stderr


def test_a_run_that_nobody_started_is_canceled_at_once(stored, runplane) -> None:
    first, again = runplane("run", "cancel", stored[0].run_id), runplane("run", "cancel", stored[0].run_id)

    assert first.stdout == "Accepted: the request is stored.\nThe run is CANCELED.\n"
    assert again.stdout == "Nothing to cancel: the run is CANCELED.\n"
    assert (first.exit_code, again.exit_code) == (0, 0)


def test_a_run_that_is_not_over_is_not_run_again(stored, runplane) -> None:
    done = runplane("run", "retry", stored[0].run_id)

    assert done.exit_code == 2
    assert "NOT_STARTED" in done.stderr


def test_a_run_is_shown(executed, runplane) -> None:
    run_id = executed("failing")

    text = runplane("run", "show", run_id).stdout
    document = json.loads(runplane("run", "show", run_id, "--json").stdout)

    assert "Step cause failed: ValueError: not worked out" in text
    assert "of failing failed in" in text
    assert document["status"] == "FAILURE"
    assert [(s["key"], s["status"], s["attempts"]) for s in document["steps"]] == [("cause", "FAILED", 1)]
    assert document["steps"][0]["failure"]["cause"] == "USER_CODE"


def test_events_are_printed_in_order_without_gaps(executed, runplane) -> None:
    run_id = executed("doubling")

    documents = [json.loads(line) for line in runplane("run", "events", run_id, "--json").stdout.splitlines()]
    lines = runplane("run", "events", run_id, "--step", "double").stdout.splitlines()

    assert [d["seq"] for d in documents] == list(range(1, len(documents) + 1))
    assert "RUN_SUCCESS" in [d["kind"] for d in documents]
    assert {line.split()[3] for line in lines} == {"double"}


def test_logs_are_printed(executed, runplane) -> None:
    run_id = executed("doubling")

    everything = runplane("run", "logs", run_id)
    of_other = runplane("run", "logs", run_id, "--step", "double")
    followed = runplane("run", "logs", run_id, "--follow")

    assert everything.stdout == followed.stdout == "counted 4\n"
    assert "==> number <==" in everything.stderr
    assert of_other.stdout == ""


def test_retry_runs_what_is_left_as_a_run_of_the_same_group(executed, runplane, as_process) -> None:
    run_id = executed("mendable")
    Path("mended").touch()

    done = as_process("run", "retry", run_id[:8])
    again = done.stdout.strip()
    as_process("run", "events", again, "--follow")

    shown = json.loads(runplane("run", "show", again, "--json").stdout)
    assert done.returncode == 0, done.stderr
    assert shown["status"] == "SUCCESS"
    assert [s["key"] for s in shown["steps"]] == ["breaks_once", "double"]
    assert (shown["parent_run_id"], shown["root_run_id"]) == (run_id, run_id)
    assert shown["tags"] == {
        "dagster/is_resume_retry": "true",
        "dagster/parent_run_id": run_id,
        "dagster/root_run_id": run_id,
    }


def test_retry_of_all_runs_all(executed, runplane, as_process) -> None:
    run_id = executed("mendable")
    Path("mended").touch()

    done = as_process("run", "retry", run_id, "--all", "--json")
    again = json.loads(done.stdout)["run_id"]
    as_process("run", "events", again, "--follow")

    shown = json.loads(runplane("run", "show", again, "--json").stdout)
    assert [s["key"] for s in shown["steps"]] == ["first", "breaks_once", "double"]
    assert "dagster/is_resume_retry" not in shown["tags"]
    assert shown["root_run_id"] == run_id


def test_nothing_is_left_of_a_run_that_succeeded(executed, runplane) -> None:
    done = runplane("run", "retry", executed("doubling"))

    assert done.exit_code == 2
    assert "nothing is left of it" in done.stderr
    assert "--all" in done.stderr


def test_a_new_event_is_followed_within_100_ms(stored, home: Path) -> None:
    """Median of ten, each written by another connection."""
    run = stored[0]
    follower = subprocess.Popen(
        [sys.executable, "-u", "-m", "runplane", "run", "events", run.run_id, "--follow", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    late = []
    with Instance.from_home(home) as instance:
        for n in range(11):
            note = NewEvent(EventKind.ENGINE_EVENT, None, None, {"message": str(n)}, time.time())
            instance.journal.annotate(run.run_id, [note])
            assert json.loads(follower.stdout.readline())["body"]["message"] == str(n)
            late.append(time.time() - note.written_at)
        instance.cancel(run.run_id)
    follower.communicate(timeout=30)

    assert sorted(late[1:])[5] < 0.1, "the first one waits for the start of the process"
    assert follower.returncode == 0
