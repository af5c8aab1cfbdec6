"""Logs in a bucket of a real S3 server: while they grow, when they are complete, and when somebody is killed or away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import psutil
import pytest
from obstore.store import S3Store

from runplane.instance.instance import Instance
from runplane.storage import memory_spool
from runplane.storage.compute_logs import Chunk, LogsUnavailableError, Stream, new_log_key
from runplane.storage.s3.layout import PIECE_BYTES
from runplane.storage.s3.settings import S3Settings
from runplane.storage.s3.store import S3ComputeLogStore
from scale import scaled
from services import s3

WITHIN_S = 60
Make = Callable[..., S3ComputeLogStore]


@pytest.fixture
def machine(tmp_path: Path, s3_server: s3.S3Server, s3_bucket: str) -> Iterator[Make]:
    """Makes the log store of one more machine: a folder of its own, the same bucket."""
    made: list[S3ComputeLogStore] = []

    def make(**config: Any) -> S3ComputeLogStore:
        text = {"compute_logs": {"module": "dagster_obstore.s3.compute_log_manager", "class": "S3ComputeLogManager"}}
        whole = s3.obstore_config(s3_server, s3_bucket, local_dir=str(tmp_path / f"machine-{len(made)}")) | config
        with Instance.from_yaml(repr(text | {"compute_logs": {**text["compute_logs"], "config": whole}})) as instance:
            store = instance.logs
        assert isinstance(store, S3ComputeLogStore)
        made.append(store)
        return store

    yield make
    s3_server.start()
    for store in made:
        store.drain(5)


def until(there: Callable[[], Any], what: str) -> Any:
    """What `there` returns once it is something."""
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {WITHIN_S} s: {what}")


def read_all(store: S3ComputeLogStore, key: tuple[str, ...], stream: Stream = "out") -> tuple[bytes, bool]:
    """A log as far as it can be read, and whether it is complete."""
    data = b""
    while True:
        chunk: Chunk = store.read(key, stream, len(data), 1 << 20)
        data += chunk.data
        if chunk.complete or not chunk.data:
            return data, chunk.complete


def uploaders() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "runplane.storage.s3.uploader" in child.cmdline():
                found.append(child)
    return found


def started_uploaders() -> list[psutil.Process]:
    """The kernel shows a program's command line a moment after the program has begun."""
    found: list[psutil.Process] = until(uploaders, "the uploader's command line")
    return found


def write(fds: tuple[int, int], out: bytes, err: bytes = b"") -> None:
    os.write(fds[0], out)
    os.write(fds[1], err)


def close(fds: tuple[int, int]) -> None:
    for fd in fds:
        os.close(fd)


def test_where_no_path_can_be_written_to_logs_wait_in_memory(
    machine: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a pod with a read-only root."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr("runplane.storage.memory_spool.MEMORY", tmp_path / "memory")
    here, there = machine(local_dir="/sys/nobody/may/write/here"), machine()
    key = new_log_key("r1")

    fds = here.open(key)
    write(fds, b"printed\n")
    close(fds)
    waits = here.local_dir
    here.finish(key)

    assert here.drain(30) == []
    assert read_all(there, key) == (b"printed\n", True)
    assert waits.is_relative_to(tmp_path / "memory")
    assert not list(waits.rglob(f"{key[-1]}.*"))


PRINTS = """
import json, os, sys
from pathlib import Path
from runplane.executors.log_capture import LogCapture
from runplane.storage import memory_spool
from runplane.storage.s3.settings import S3Settings
from runplane.storage.s3.store import S3ComputeLogStore
settings, memory, megabytes = json.loads(sys.argv[1])
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # a small pod
memory_spool.MEMORY = Path(memory)
store = S3ComputeLogStore(S3Settings(**settings), Path("/sys/nobody/may/write/here"))
capture, told = LogCapture(store, "run", ["a"]), os.dup(1)
os.write(told, json.dumps(capture.begin().body["log_key"]).encode() + b"\\n")
for n in range(megabytes):
    print(("%07d\\n" % n) * (1 << 17), end="")
capture.end()
os.write(told, json.dumps(store.drain(60)).encode())
"""


def test_a_log_in_memory_is_bounded_and_who_prints_waits_through_an_outage(
    machine: Make, s3_server: s3.S3Server, tmp_path: Path
) -> None:
    elsewhere, megabytes = machine(timeout="5s"), scaled(48, long=256)
    (tmp_path / "memory").mkdir()
    argument = json.dumps([elsewhere.settings.to_json(), str(tmp_path / "memory"), megabytes])
    most = 0
    s3_server.stop()

    def waits() -> int:
        nonlocal most
        seen = file.stat()
        most = max(most, 512 * seen.st_blocks)
        return seen.st_size if 512 * seen.st_blocks > memory_spool.MOST_BYTES else 0

    with subprocess.Popen([sys.executable, "-c", PRINTS, argument], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        key = tuple(json.loads(worker.stdout.readline()))
        (file,) = (tmp_path / "memory").rglob(f"{key[-1]}.out")
        printed = until(waits, "a file that is full")
        time.sleep(1)
        assert file.stat().st_size == printed, "nothing is printed as long as it is full"
        s3_server.start()
        while worker.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                waits()
            time.sleep(0.01)
        missing = json.loads(worker.stdout.read())

    assert (worker.returncode, missing) == (0, [])
    assert most <= memory_spool.MOST_BYTES + (2 << 20)
    text, is_complete = read_all(elsewhere, key)
    assert is_complete
    assert text == b"".join(b"%07d\n" % n * (1 << 17) for n in range(megabytes))
    assert not list((tmp_path / "memory").rglob(f"{key[-1]}.*"))


def test_a_log_is_read_on_another_machine_while_it_grows_and_lies_where_dagster_has_it(
    machine: Make, s3_server: s3.S3Server, s3_bucket: str
) -> None:
    here, elsewhere = machine(prefix="/some/where/"), machine(prefix="some/where")
    key = new_log_key("run")
    folder = "some/where/storage/run/compute_logs"
    fds = here.open(key)

    write(fds, b"first\n")
    first = until(lambda: elsewhere.read(key, "out", 0, 100).data, "the first line")
    growing = s3_server.keys(s3_bucket)
    write(fds, b"second\n", b"trouble\n")
    second = until(lambda: elsewhere.read(key, "out", 6, 100), "the second line")
    close(fds)
    here.finish(key)
    missing = here.drain(WITHIN_S)

    assert (first, second.complete) == (b"first\n", False)
    assert growing == [f"{folder}/{key[-1]}.out.partial"]
    assert missing == []
    assert s3_server.keys(s3_bucket) == [f"{folder}/{key[-1]}.{name}" for name in ("complete", "err", "out")]
    assert read_all(elsewhere, key) == (b"first\nsecond\n", True)
    assert read_all(elsewhere, key, "err") == (b"trouble\n", True)


def test_a_long_log_grows_piece_by_piece_and_is_one_object_at_the_end(
    machine: Make, s3_server: s3.S3Server, s3_bucket: str
) -> None:
    here, elsewhere = machine(), machine()
    key = new_log_key("run")
    fds = here.open(key)
    lines = b"".join(b"%09d\n" % n for n in range(5 * PIECE_BYTES // 20))

    write(fds, lines)
    until(lambda: elsewhere.read(key, "out", len(lines) - 1, 10).data, "the last byte")
    pieces = s3_server.keys(s3_bucket)
    growing = read_all(elsewhere, key)
    close(fds)
    here.finish(key)
    here.drain(WITHIN_S)

    assert [name.rpartition(".out.partial")[2] for name in pieces] == ["", ".000000002097152", ".000000004194304"]
    assert growing == (lines, False)
    assert read_all(elsewhere, key) == (lines, True)
    assert [name.rpartition(".")[2] for name in s3_server.keys(s3_bucket)] == ["complete", "err", "out"]


def test_local_copies_are_removed_once_the_bucket_has_all(machine: Make) -> None:
    here = machine()
    key = new_log_key("run")
    fds = here.open(key)
    write(fds, b"x")
    close(fds)

    here.finish(key)
    here.drain(WITHIN_S)

    assert [p for p in here.local_dir.rglob("*") if p.is_file()] == []
    assert read_all(here, key) == (b"x", True)


KILLED = """
import os, sys, json
from pathlib import Path
from runplane.storage.s3.settings import S3Settings
from runplane.storage.s3.store import S3ComputeLogStore
settings, folder, key = json.loads(sys.argv[1])
fds = S3ComputeLogStore(S3Settings(**settings), Path(folder)).open(key)
os.write(fds[0], b"last words")
os.kill(os.getpid(), 9)
"""


def test_a_log_is_complete_after_kill_9_of_the_worker(machine: Make, tmp_path: Path) -> None:
    elsewhere, key = machine(), new_log_key("run")
    argument = json.dumps([elsewhere.settings.to_json(), str(tmp_path / "killed"), key])

    worker = subprocess.run([sys.executable, "-c", KILLED, argument], check=False)

    assert worker.returncode == -signal.SIGKILL
    until(lambda: read_all(elsewhere, key)[1], "the uploader that was left stores the rest")
    assert read_all(elsewhere, key) == (b"last words", True)
    until(lambda: not list((tmp_path / "killed").rglob("*.out")), "and removes the local copy")


DRAINS = KILLED.replace(
    "os.kill(os.getpid(), 9)",
    """store.finish(key); print("waits", flush=True); store.drain(60)""",
).replace(
    "fds = S3ComputeLogStore(S3Settings(**settings), Path(folder)).open(key)",
    "store = S3ComputeLogStore(S3Settings(**settings), Path(folder)); fds = store.open(key)",
)


def test_a_worker_that_is_killed_while_it_waits_for_the_service_loses_nothing(
    machine: Make, s3_server: s3.S3Server, tmp_path: Path
) -> None:
    elsewhere, key = machine(), new_log_key("run")
    s3_server.stop()
    argument = json.dumps([elsewhere.settings.to_json(), str(tmp_path / "killed"), key])
    worker = subprocess.Popen([sys.executable, "-c", DRAINS, argument], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"waits\n"
    time.sleep(1)  # its uploader says meanwhile that it is still at it

    worker.kill()
    worker.communicate()
    time.sleep(1)  # and then says it to nobody
    s3_server.start()

    until(lambda: read_all(elsewhere, key)[1], "the uploader that was left stores the rest")
    assert read_all(elsewhere, key) == (b"last words", True)


def test_many_logs_that_are_missing_are_told_in_few_words(machine: Make, s3_server: s3.S3Server) -> None:
    here = machine()
    s3_server.stop()
    for _ in range(25):
        close(here.open(new_log_key("run")))

    told = here.drain(0.5)

    assert len(told) == 21
    assert "5 more logs" in told[-1]


def test_an_outage_costs_delay_only(machine: Make, s3_server: s3.S3Server) -> None:
    here, elsewhere = machine(), machine()
    keys = [new_log_key("run") for _ in range(3)]
    logs = {key: here.open(key) for key in keys}
    for fds in logs.values():
        write(fds, b"before ")
    until(lambda: all(elsewhere.read(key, "out", 0, 10).data for key in keys), "the first words")

    s3_server.stop()
    for fds in logs.values():
        write(fds, b"while it is away")
    close(logs[keys[0]])
    here.finish(keys[0])
    time.sleep(2)  # long enough to be tried, and to fail
    with pytest.raises(LogsUnavailableError, match=s3_server.endpoint.removeprefix("http://")):
        elsewhere.read(keys[0], "out", 0, 10)
    s3_server.start()
    for key in keys[1:]:
        close(logs[key])
        here.finish(key)

    assert here.drain(WITHIN_S) == []
    assert [read_all(elsewhere, key) for key in keys] == [(b"before while it is away", True)] * 3


def test_a_frozen_server_costs_delay_only(machine: Make, s3_server: s3.S3Server) -> None:
    here, elsewhere = machine(timeout="1s"), machine()
    key = new_log_key("run")
    fds = here.open(key)

    s3_server.pause()
    write(fds, b"all of it")
    close(fds)
    here.finish(key)
    time.sleep(3)
    s3_server.start()

    assert here.drain(WITHIN_S) == []
    assert read_all(elsewhere, key) == (b"all of it", True)


def test_what_can_not_be_stored_is_named_without_credentials_and_stays(machine: Make, s3_server: s3.S3Server) -> None:
    here = machine()
    key = new_log_key("run")
    fds = here.open(key)
    write(fds, b"precious")
    close(fds)

    s3_server.stop()
    here.finish(key)
    missing = here.drain(1)

    (text,) = missing
    assert "8 bytes" in text
    assert f"s3://{here.settings.bucket}/dagster/storage" in text
    (left,) = here.local_dir.rglob("*.out")
    assert str(left) in text
    assert left.read_bytes() == b"precious"
    assert not any(secret in text for secret in here.settings.secrets)
    assert read_all(here, key) == (b"precious", True)


def test_a_bucket_that_is_not_there_is_named(machine: Make) -> None:
    here = machine(bucket="no-such-bucket")
    fds = here.open(new_log_key("run"))
    write(fds, b"x")
    close(fds)

    (text,) = here.drain(1)

    assert "NoSuchBucket" in text


def test_wrong_keys_are_not_repeated_in_the_message(machine: Make) -> None:
    here = machine(access_key_id="wrong-key-id", secret_access_key="wrong-secret")
    close(here.open(new_log_key("run")))

    (text,) = here.drain(1)

    assert "No user exists with the provided access key ID" in text
    assert "wrong-key-id" not in text
    assert "wrong-secret" not in text


def test_an_uploader_that_is_killed_is_replaced_and_nothing_is_lost(machine: Make) -> None:
    here, elsewhere = machine(), machine()
    first, second = new_log_key("run"), new_log_key("run")
    for key in (first, second):
        fds = here.open(key)
        write(fds, b"whole")
        close(fds)
        for uploader in uploaders():
            uploader.kill()
            uploader.wait()
        here.finish(key)

    for uploader in uploaders():
        uploader.kill()
        uploader.wait()

    assert here.drain(WITHIN_S) == []
    assert read_all(elsewhere, first) == (b"whole", True)
    assert read_all(elsewhere, second) == (b"whole", True)


def test_keys_are_in_no_process_arguments_and_no_environment_of_the_uploader(machine: Make) -> None:
    here = machine()
    close(here.open(new_log_key("run")))

    (uploader,) = started_uploaders()
    seen = " ".join(uploader.cmdline()) + " ".join(uploader.environ().values())

    assert not any(secret in seen for secret in here.settings.secrets)


def test_the_worker_itself_loads_no_client(machine: Make, tmp_path: Path) -> None:
    code = KILLED.replace("os.kill(os.getpid(), 9)", "sys.exit('obstore' in sys.modules)")
    argument = json.dumps([machine().settings.to_json(), str(tmp_path / "light"), new_log_key("run")])

    assert subprocess.run([sys.executable, "-c", code, argument], check=False).returncode == 0


def test_another_worker_marks_the_log_of_one_that_is_lost_with_its_machine(machine: Make) -> None:
    lost, successor, elsewhere = machine(), machine(), machine()
    key = new_log_key("run")
    fds = lost.open(key)
    write(fds, b"as far as it came")
    until(lambda: elsewhere.read(key, "out", 0, 100).data, "it is streamed")
    close(fds)
    for uploader in uploaders():
        uploader.kill()

    successor.finish(key)
    successor.drain(WITHIN_S)

    assert read_all(elsewhere, key) == (b"as far as it came", True)
    assert read_all(elsewhere, key, "err") == (b"", True)


def test_nothing_printed_is_no_object_when_that_is_asked_for(
    machine: Make, s3_server: s3.S3Server, s3_bucket: str
) -> None:
    here, elsewhere = machine(skip_empty_files=True), machine()
    key = new_log_key("run")
    fds = here.open(key)
    write(fds, b"", b"only this")
    close(fds)

    here.finish(key)
    here.drain(WITHIN_S)

    assert [name.rpartition(".")[2] for name in s3_server.keys(s3_bucket)] == ["complete", "err"]
    assert read_all(elsewhere, key, "out") == (b"", True)


def test_the_logs_of_a_run_are_deleted_and_no_others(machine: Make, s3_server: s3.S3Server, s3_bucket: str) -> None:
    here = machine()
    for run in ("run", "run-2"):
        for _ in range(2):
            fds = here.open(new_log_key(run))
            write(fds, b"x")
            close(fds)
    here.drain(WITHIN_S)

    machine().delete("run")
    machine().delete("run")

    left = s3_server.keys(s3_bucket)
    assert len(left) == 6
    assert all(name.startswith("dagster/storage/run-2/") for name in left)


def test_logs_that_can_not_be_deleted_are_an_error(machine: Make, s3_server: s3.S3Server) -> None:
    s3_server.stop()

    with pytest.raises(OSError, match="127.0.0.1"):
        machine().delete("run")


@pytest.mark.parametrize("megabytes", [96, pytest.param(1024, marks=pytest.mark.long)])
def test_a_flood_of_output_costs_no_memory(machine: Make, s3_server: s3.S3Server, megabytes: int) -> None:
    here, elsewhere = machine(), machine()
    key = new_log_key("run")
    fds = here.open(key)
    (uploader,) = started_uploaders()
    most = 0

    def peak() -> int:
        status = Path(f"/proc/{uploader.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    for n in range(megabytes):
        os.write(fds[0], (b"%07d\n" % n) * (1 << 17))
    close(fds)
    here.finish(key)
    while uploader.is_running() and uploader.status() != psutil.STATUS_ZOMBIE:
        with contextlib.suppress(OSError, IndexError):
            most = max(most, peak())
        if read_all_is_there(elsewhere, key, megabytes << 20):
            break
        time.sleep(0.2)
    here.drain(WITHIN_S)

    assert most < 50, "MB of the uploader at its peak"
    assert elsewhere.read(key, "out", (megabytes << 20) - 8, 100).data == b"%07d\n" % (megabytes - 1)


def read_all_is_there(store: S3ComputeLogStore, key: tuple[str, ...], size: int) -> bool:
    return store.read(key, "out", size - 1, 1).complete


def test_credentials_of_a_profile_are_used_where_there_are_no_others(
    machine: Make, s3_server: s3.S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[mine]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    here = machine(access_key_id="", secret_access_key="")
    key = new_log_key("run")
    fds = here.open(key)
    write(fds, b"by profile")
    close(fds)

    here.finish(key)

    assert here.drain(WITHIN_S) == []
    assert read_all(machine(), key) == (b"by profile", True)


def test_dagster_aws_words_mean_the_same_bucket(
    machine: Make, s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    yaml = f"""
compute_logs:
  module: dagster_aws.s3.compute_log_manager
  class: S3ComputeLogManager
  config:
    bucket: {s3_bucket}
    local_dir: {tmp_path / "aws"}
    endpoint_url: {s3_server.endpoint}
    region: {s3_server.region}
    use_ssl: false
    upload_interval: 1
    upload_extra_args:
      ContentType: text/plain
      Metadata: {{team: data}}
"""
    with Instance.from_yaml(yaml) as instance:
        here: Any = instance.logs
    key = new_log_key("run")
    fds = here.open(key)
    write(fds, b"hello")
    close(fds)

    here.finish(key)
    missing = here.drain(WITHIN_S)

    bucket = S3Store(
        s3_bucket,
        endpoint=s3_server.endpoint,
        region=s3_server.region,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )
    there = obstore.get(bucket, f"dagster/storage/run/compute_logs/{key[-1]}.out")
    assert missing == []
    assert (there.meta["size"], there.attributes) == (5, {"Content-Type": "text/plain", "team": "data"})
    assert read_all(machine(), key) == (b"hello", True)


def test_settings_hold_no_more_than_json() -> None:
    settings = S3Settings("bucket", "folder", {"region": "here"})

    assert S3Settings(**settings.to_json()) == settings
