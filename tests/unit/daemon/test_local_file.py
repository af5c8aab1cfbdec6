"""The file by which a probe knows a living daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runplane.daemon import local_file
from runplane.errors import UnsupportedError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "daemon.json"
    monkeypatch.setenv(local_file.FILE_ENV, str(path))
    return path


def state(**loops: str) -> dict[str, object]:
    return {"pid": os.getpid(), "loops": {name: {"state": state} for name, state in loops.items()}}


def test_a_daemon_that_wrote_lately_lives(file: Path) -> None:
    local_file.write(file, state(queue="active", launch="database away"))

    assert local_file.check().is_live


@pytest.mark.parametrize("how", ["hangs", "ended"])
def test_a_loop_that_does_not_go_on_is_named(file: Path, how: str) -> None:
    local_file.write(file, state(queue=how, launch="active"))

    found = local_file.check()

    assert not found.is_live
    assert found.text.endswith("do not go on: queue")


def test_a_file_that_is_old_is_that_of_a_daemon_that_hangs(file: Path) -> None:
    local_file.write(file, state(queue="active"))
    body = json.loads(file.read_text())
    file.write_text(json.dumps({**body, "at": body["at"] - 31}))

    found = local_file.check()

    assert not found.is_live
    assert "has not been heard of for 31 s" in found.text


def test_the_file_of_a_process_that_is_gone_says_nothing(file: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    local_file.write(file, {**state(queue="active"), "pid": gone.pid})

    assert not local_file.check().is_live


def test_the_check_loads_no_database_and_no_client(file: Path) -> None:
    local_file.write(file, state(queue="active"))
    code = (
        "import sys\nfrom runplane.cli.main import main\n"
        "sys.argv = ['runplane', 'daemon', 'liveness-check']\n"
        "try:\n    main()\nexcept SystemExit as e:\n    code = e.code\n"
        "heavy = [m for m in ('sqlite3', 'psycopg', 'sqlalchemy', 'pydantic', 'rich', 'yaml') if m in sys.modules]\n"
        "print(code, heavy)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=file.parent)

    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


@pytest.fixture
def read_only_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr(local_file.tempfile, "gettempdir", none)
    monkeypatch.delenv(local_file.FILE_ENV, raising=False)


@pytest.mark.usefixtures("read_only_root")
def test_in_a_container_with_a_read_only_root_the_file_is_in_its_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_file, "SHARED_MEMORY", tmp_path)

    local_file.write(local_file.own_file(os.getpid()), {"pid": os.getpid(), "loops": {}})

    assert local_file.check().is_live
    assert len(list(tmp_path.rglob("*.json"))) == 1


@pytest.mark.usefixtures("read_only_root")
def test_where_nothing_can_be_written_it_is_said_what_to_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_file, "SHARED_MEMORY", tmp_path / "not-there")

    with pytest.raises(UnsupportedError, match=r"emptyDir.*RUNPLANE_DAEMON_FILE"):
        local_file.own_file(1)


def test_a_file_that_can_not_be_written_is_said_once_and_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "folder"
    folder.write_text("in its place")
    file = local_file.StateFile(folder / "daemon.json", said.append)

    file.tell(state(queue="active"))
    file.tell(state(queue="active"))

    assert len(said) == 1
    assert "folder/daemon.json can not be written, and liveness checks fail by and by: " in said[0]
    folder.unlink()
    file.tell(state(queue="active"))
    assert json.loads((folder / "daemon.json").read_text())["pid"] == os.getpid()
    folder.rename(tmp_path / "away")
    folder.write_text("in its place again")
    file.tell(state(queue="active"))
    assert len(said) == 2, "it is another time"
    file.remove()
    assert "folder/daemon.json stays: " in said[2]
