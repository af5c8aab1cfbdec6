"""A worker whose document holds no instance: the storage of the file in its home, the rest as its run was launched with, or an error by name."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from runplane.errors import ConfigErrors
from runplane.errors.exit_codes import ExitCode
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.run import Run
from runplane.instance.home import NoInstanceError, StorageChangedError
from runplane.instance.instance import Instance

STORAGE = "storage: {sqlite: {base_dir: BASE}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def write(home: Path, text: str, base: Path) -> None:
    (home / "dagster.yaml").write_text(text.replace("BASE", str(base)))


def launched(home: Path) -> str:
    """A run whose pods are not handed the instance."""
    run_id = secrets.token_hex(16)
    origin = JobOrigin("j", RepositoryOrigin("python", FileCodePointer("f.py", "j", None)))
    with Instance.from_home(home) as instance:
        run = Run(run_id=run_id, job_name="j", origin=origin)
        instance.journal.create(run)
        instance.runs.put_instance(run_id, instance.document(run))
    return run_id


def test_only_the_storage_of_the_file_is_read_and_the_rest_is_as_the_run_was_launched(
    home: Path, tmp_path: Path
) -> None:
    write(home, STORAGE + "run_monitoring: {enabled: true, max_resume_run_attempts: 7}\n", tmp_path)
    run_id = launched(home)
    write(home, STORAGE + "run_monitoring: {max_resume_run_attempts: 1, nonsense: here}\nunheard_of: 3\n", tmp_path)

    with Instance.for_worker(None, run_id=run_id) as instance:
        assert instance.runs.get(run_id).job_name == "j"
        assert instance.resumes_allowed == 7

    with pytest.raises(ConfigErrors):
        Instance.for_worker(None, run_id="another")


def test_another_storage_than_the_runs_is_an_error_by_name(home: Path, tmp_path: Path) -> None:
    write(home, STORAGE, tmp_path)
    run_id = launched(home)
    (tmp_path / "link").symlink_to(tmp_path)
    write(home, STORAGE, tmp_path / "link")

    with pytest.raises(StorageChangedError, match="launch the run again") as caught:
        Instance.for_worker(None, run_id=run_id)

    assert caught.value.exit_code == ExitCode.NO_INSTANCE


def test_a_home_with_nothing_in_it_is_no_instance(home: Path) -> None:
    with pytest.raises(NoInstanceError, match="ConfigMap"):
        Instance.for_worker(None, run_id="any")

    assert list(home.iterdir()) == []


def test_a_home_that_was_used_without_a_file_goes_on(home: Path) -> None:
    run_id = secrets.token_hex(16)
    with Instance.from_home(home) as instance:
        instance.journal.create(Run(run_id=run_id, job_name="j"))

    with Instance.for_worker(None, run_id=run_id) as instance:
        assert instance.runs.get(run_id).run_id == run_id
