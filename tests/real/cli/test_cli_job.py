"""``job execute`` and ``job launch`` from the outside: what is printed, exit codes, interrupts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runplane.instance.instance import Instance
from runplane.storage.liveness import start_time

PATIENCE_S = 30.0


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def runs(runplane) -> list[dict]:
    return json.loads(runplane("run", "list", "--json").stdout)["runs"]


def worker_of(process: subprocess.Popen[str]) -> int:
    """The process id of the run's worker."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


@pytest.fixture(params=["sleeping"])
def sleeping(home: Path, jobs_file: Path, request: pytest.FixtureRequest):
    """`job execute` of a job that sleeps in its only step."""
    words = [sys.executable, "-m", "runplane", "job", "execute", "-f", str(jobs_file), "-j", request.param]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(Path("asleep").exists)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_run_that_succeeds_tells_its_story(home: Path, jobs_file: Path, as_process) -> None:
    done = as_process("job", "execute", "-f", jobs_file, "-j", "doubling")

    assert done.returncode == 0, done.stderr
    assert "number  running" in done.stdout
    assert "double  succeeded in" in done.stdout
    assert "of doubling succeeded in" in done.stdout
    assert "█" in done.stdout
    assert f"Outputs  {home}/storage/" in done.stdout
    assert f"Logs     {home}/storage/" in done.stdout
    assert "Next     runplane run events " in done.stdout
    assert "\x1b[" not in done.stdout


def test_a_run_that_fails_is_1_with_the_users_traceback_and_none_of_ours(
    home: Path, jobs_file: Path, as_process
) -> None:
    done = as_process("job", "execute", "-f", jobs_file, "-j", "failing")

    assert done.returncode == 1
    assert "Step cause failed: ValueError: not worked out" in done.stdout
    assert "KeyError: 'key'" in done.stdout
    assert "The above exception was the direct cause of the following exception:" in done.stdout
    files = {line.split('"')[1] for line in done.stdout.splitlines() if line.strip().startswith('File "')}
    assert files == {str(jobs_file)}
    assert "Next     runplane run retry " in done.stdout


def test_config_tags_selection_and_id_reach_the_run(home: Path, jobs_file: Path, as_process, runplane) -> None:
    run_id = "11111111-2222-4333-8444-555555555555"
    config = Path("a.yaml"), Path("b.yaml")
    config[0].write_text("ops: {number: {config: {n: 7}}}\n")
    config[1].write_text("ops: {number: {config: {n: 8}}}\nexecution: {config: {in_process: {}}}\n")

    done = as_process(
        *("job", "execute", "-f", jobs_file, "-j", "doubling", "-c", "a.yaml", "-c", "b.yaml"),
        *("--tags", '{"team": "a", "level": 3}', "--select", "number", "--run-id", run_id),
    )

    shown = json.loads(runplane("run", "show", run_id, "--json").stdout)
    assert done.returncode == 0, done.stderr
    assert shown["run_config"] == {"ops": {"number": {"config": {"n": 7}}}, "execution": {"config": {"in_process": {}}}}
    assert shown["tags"] == {"team": "a", "level": "3"}
    assert shown["op_selection"] == ["number"]
    assert [step["key"] for step in shown["steps"]] == ["number"]


def test_what_container_the_code_is_in_reaches_the_runs_origin(
    home: Path, jobs_file: Path, runplane, monkeypatch
) -> None:
    (home / "dagster.yaml").write_text("run_queue: {max_concurrent_runs: 1}\n")
    Path("context.yaml").write_text("k8s: {namespace: team-a}\n")
    words = ("job", "launch", "-f", jobs_file, "-j", "doubling", "--json")
    given = ("--location", "context.yaml", "--image", "img:1")
    monkeypatch.setenv("DAGSTER_CURRENT_IMAGE", "img:2")
    monkeypatch.setenv("DAGSTER_CLI_API_GRPC_CONTAINER_CONTEXT", '{"k8s": {"namespace": "team-b"}}')

    ids = [json.loads(runplane(*words, *more).stdout)["run_id"] for more in (given, ())]

    with Instance.from_home(home) as instance:
        origins = [instance.runs.get(run_id).origin.repository_origin for run_id in ids]
    assert [(o.container_image, o.container_context) for o in origins] == [
        ("img:1", {"k8s": {"namespace": "team-a"}}),
        ("img:2", {"k8s": {"namespace": "team-b"}}),
    ]


def test_options_may_be_variables(home: Path, jobs_file: Path, as_process) -> None:
    done = as_process(
        "job", "execute", DAGSTER_CLI_JOB_EXECUTE_PYTHON_FILE=str(jobs_file), DAGSTER_CLI_JOB_EXECUTE_JOB="doubling"
    )

    assert done.returncode == 0, done.stderr


def test_an_id_that_is_taken_is_refused(home: Path, jobs_file: Path, as_process, runplane) -> None:
    words = ("-f", jobs_file, "-j", "doubling", "--run-id", "11111111-2222-4333-8444-555555555555")
    as_process("job", "execute", *words)

    executed, launched = as_process("job", "execute", *words), as_process("job", "launch", *words)

    assert (executed.returncode, launched.returncode) == (2, 2)
    assert "there already" in executed.stderr
    assert len(runs(runplane)) == 1


def test_prints_of_an_import_do_not_reach_stdout(home: Path, jobs_file: Path, as_process) -> None:
    jobs_file.write_text("print('hello from the import')\n" + jobs_file.read_text())

    done = as_process("job", "list", "-f", jobs_file, "--json")

    assert [job["name"] for job in json.loads(done.stdout)] == [
        "doubling",
        "failing",
        "mendable",
        "sleeping",
        "stubborn",
    ]
    assert "hello from the import" in done.stderr


def test_jobs_are_listed(home: Path, jobs_file: Path, runplane) -> None:
    done = runplane("job", "list", "-f", jobs_file, "-a", "doubling")

    assert done.stdout == "doubling\n    Doubles a number.\n    ops: number, double\n"


def test_an_interrupt_cancels_the_run_and_is_130(sleeping: subprocess.Popen[str], runplane) -> None:
    sleeping.send_signal(signal.SIGINT)
    printed, _ = sleeping.communicate(timeout=PATIENCE_S)

    assert sleeping.returncode == 130
    assert "Canceling the run." in printed
    assert "was canceled" in printed
    assert runs(runplane)[0]["status"] == "CANCELED"


@pytest.mark.parametrize("sleeping", ["stubborn"], indirect=True)
def test_a_second_interrupt_kills(sleeping: subprocess.Popen[str], home: Path, runplane) -> None:
    worker = worker_of(sleeping)
    sleeping.send_signal(signal.SIGINT)
    until(lambda: runs(runplane)[0]["status"] == "CANCELING")

    sleeping.send_signal(signal.SIGINT)
    printed, _ = sleeping.communicate(timeout=PATIENCE_S)

    assert sleeping.returncode == 130
    assert "The run's process is killed." in printed
    assert start_time(worker) is None
    assert runs(runplane)[0]["status"] == "CANCELED"


def test_a_worker_ends_with_the_process_that_watches_it(sleeping: subprocess.Popen[str], home: Path, runplane) -> None:
    worker = worker_of(sleeping)

    sleeping.kill()

    until(lambda: start_time(worker) is None)
    assert runs(runplane)[0]["status"] == "CANCELED"


def test_a_worker_that_is_killed_is_told_with_what_to_do(sleeping: subprocess.Popen[str], home: Path, runplane) -> None:
    os.kill(worker_of(sleeping), signal.SIGKILL)
    _, said = sleeping.communicate(timeout=PATIENCE_S)

    assert sleeping.returncode == 1
    assert "ended by signal SIGKILL, and the run is STARTED" in said
    run_id = runs(runplane)[0]["run_id"]
    assert f"runplane run cancel {run_id[:8]}" in said
    assert runplane("run", "cancel", run_id).stdout.endswith("The run is CANCELED.\n")


def test_launch_prints_the_id_and_goes_on_by_itself(home: Path, jobs_file: Path, as_process, runplane) -> None:
    done = as_process("job", "launch", "-f", jobs_file, "-j", "doubling")
    run_id = done.stdout.strip()
    followed = as_process("run", "events", run_id[:8], "--follow")

    assert done.returncode == 0, done.stderr
    assert f"runplane run logs {run_id[:8]} --follow" in done.stderr
    assert "RUN_SUCCESS" in followed.stdout
    assert runs(runplane)[0]["status"] == "SUCCESS"


def test_a_launch_that_fails_is_1_and_the_run_says_why(home: Path, jobs_file: Path, as_process, runplane) -> None:
    Path("launchers_of_mine.py").write_text(
        "class Broken:\n"
        "    @classmethod\n"
        "    def config_type(cls): return {}\n"
        "    @classmethod\n"
        "    def from_config_value(cls, inst_data, config_value): return cls()\n"
        "    def launch(self, request): raise OSError('no room')\n"
        "    def terminate(self, run_id, handle): return None\n"
    )
    (home / "dagster.yaml").write_text("run_launcher: {module: launchers_of_mine, class: Broken}\n")

    done = as_process("job", "launch", "-f", jobs_file, "-j", "doubling")

    assert (done.returncode, done.stdout) == (1, "")
    assert "could not be launched: OSError: no room" in done.stderr
    assert runs(runplane)[0]["status"] == "FAILURE"


def test_a_launcher_whose_pods_could_not_reach_the_database_is_refused_before_a_run_is_made(
    home: Path, jobs_file: Path, runplane
) -> None:
    (home / "dagster.yaml").write_text(
        "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {dagster_home: /h, instance_config_map: m, "
        "postgres_password_secret: s, service_account_name: a}}\n"
    )

    done = runplane("job", "launch", "-f", jobs_file, "-j", "doubling")

    assert done.exit_code == 2
    assert "pods can not reach this database (got SQLite" in done.stderr
    assert runs(runplane) == []


def test_a_terminal_sees_colours_and_what_runs_now(home: Path, jobs_file: Path) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "runplane", "job", "execute", "-f", str(jobs_file), "-j", "failing"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)

    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # how Linux says that the other side is closed
        os.close(ours)
    text = seen.decode()

    assert process.wait(timeout=PATIENCE_S) == 1
    assert "failing" in text.split("starting")[0], "the line that is drawn again"
    assert "\x1b[31mfailed" in text
    assert "\x1b[2K" in text, "a line that was taken away again"


def test_the_env_file_of_the_current_directory_is_read_first(home: Path, jobs_file: Path, as_process, tmp_path) -> None:
    other = tmp_path / "other home"
    other.mkdir()
    Path(".env").write_text(f"DAGSTER_HOME={other}\nOF_THE_FILE=yes\n")
    jobs_file.write_text("import os\nassert os.environ['OF_THE_FILE'] == 'yes'\n" + jobs_file.read_text())

    done = as_process("job", "execute", "-f", jobs_file, "-j", "doubling")

    assert done.returncode == 0, done.stderr
    assert f"Outputs  {other}/storage/" in done.stdout
    assert list(home.iterdir()) == []
