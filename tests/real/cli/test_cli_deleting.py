"""``run delete | wipe | purge``: what goes, what stays, what is asked, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.instance import removal
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.contract import Append, AttemptRef, Claimed, Owner, RunFilter
from runplane.storage.dialect import Statement
from runplane.storage.journal import Journal

DAY = 86400.0


class Kept:
    """The runs of a home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def over(
        self,
        *,
        days_ago: float = 0.0,
        end: K = K.RUN_SUCCESS,
        root: str | None = None,
        outputs: Sequence[Path] = (),
        run_id: str | None = None,
    ) -> str:
        """A run that ended, with an output and a log."""
        with Instance.from_home(self.home) as instance:
            run_id = instance.create(RunRequest("job", run_id=run_id, parent_run_id=root, root_run_id=root)).run_id
            journal = instance.journal
            claim = journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [], _event(K.RUN_START))
            assert claim is not None
            journal.commit(run_id, claim.epoch, 1, [Append([_event(K.LOG, message=str(i)) for i in range(100)])])
            if outputs:
                self._step(journal, run_id, outputs)
            journal.finalise(run_id, claim.epoch, _event(end, message="over"), cause="LOST")
            sql = journal.rules.named(
                "UPDATE {run} SET created_at = created_at - :ago, ended_at = ended_at - :ago WHERE run_id = :run"
            )
            instance.database.transact([Statement(sql, {"run": run_id, "ago": days_ago * DAY})])
            for path in self.files(run_id):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("x")
        return run_id

    def _step(self, journal: Journal, run_id: str, outputs: Sequence[Path]) -> None:
        ref = AttemptRef("a", 1)
        claimed = journal.claim(run_id, ref, "w", NewEvent(K.STEP_WORKER_STARTED, "a", 1, {}, time.time()), make=True)
        assert isinstance(claimed, Claimed)
        bodies = [{"output": path.name, "location": {"path": str(path)}} for path in outputs]
        stored = [NewEvent(K.STEP_OUTPUT, "a", 1, body, time.time()) for body in bodies]
        success = NewEvent(K.STEP_SUCCESS, "a", 1, {}, time.time())
        assert journal.append_as_attempt(run_id, ref, claimed.nonce, 1, [*stored, success])

    def live(self) -> str:
        """A run that a worker has."""
        with Instance.from_home(self.home) as instance:
            run_id = instance.create(RunRequest("job")).run_id
            instance.journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [], _event(K.RUN_START))
        return run_id

    def files(self, run_id: str) -> list[Path]:
        storage = self.home / "storage"
        return [
            storage / run_id / "step" / "result",
            storage / run_id / "compute_logs" / "abcdefgh.out",
            storage / "workers" / f"{run_id}.log",
        ]

    def there(self) -> set[str]:
        with Instance.from_home(self.home) as instance:
            return {run.run_id for run in instance.runs.page(RunFilter(), limit=10_000).runs}

    def is_whole(self, run_id: str) -> bool:
        with Instance.from_home(self.home) as instance:
            return all(p.exists() for p in self.files(run_id)) and len(list(instance.journal.history(run_id))) == 102

    def has_anything(self, run_id: str) -> bool:
        with Instance.from_home(self.home) as instance:
            sql = instance.journal.rules.named("SELECT count(*) FROM {event} WHERE run_id = :run")
            events = instance.database.read(sql, {"run": run_id})[0][0]
        return bool(events) or any(p.exists() for p in self.files(run_id)) or (self.home / "storage" / run_id).exists()


def _event(kind: K, **body: object) -> NewEvent:
    return NewEvent(kind, None, None, body, time.time())


@pytest.fixture
def kept(home: Path) -> Kept:
    return Kept(home)


def test_a_run_is_deleted_with_all_that_is_kept_of_it(kept: Kept, runplane) -> None:
    gone, stays = kept.over(), kept.over()

    done = runplane("run", "delete", gone[:8], "--yes")

    assert (done.exit_code, done.stdout) == (0, "1 run deleted.\n")
    assert kept.there() == {stays}
    assert not kept.has_anything(gone)
    assert kept.is_whole(stays)


def test_nothing_is_deleted_unasked_where_there_is_no_terminal(kept: Kept, runplane) -> None:
    run_id = kept.over()

    done = runplane("run", "wipe")

    assert done.exit_code == 2
    assert "1 run would be deleted; where nobody can be asked, say --yes" in done.stderr
    assert kept.is_whole(run_id)


def test_a_dry_run_says_what_would_be_deleted(kept: Kept, runplane) -> None:
    run_id = kept.over()

    done = runplane("run", "wipe", "--dry-run")

    assert done.stdout == "1 run would be deleted.\n"
    assert done.stderr.startswith(f"{run_id[:8]}  job  SUCCESS")
    assert kept.is_whole(run_id)


def test_a_run_in_progress_is_not_deleted(kept: Kept, runplane) -> None:
    over, live = kept.over(), kept.live()

    one = runplane("run", "delete", live, "--yes", "--json")
    rest = runplane("run", "wipe", "--yes")

    assert one.exit_code == 2
    assert json.loads(one.stdout)["kept"] == [{"run_id": live, "why": "the run is STARTED"}]
    assert rest.stdout == "1 run deleted.\n"
    assert "1 run in progress or in the queue stay" in rest.stderr
    assert kept.there() == {live}
    assert not kept.has_anything(over)


def test_purge_takes_those_that_ended_long_ago(kept: Kept, runplane) -> None:
    young, old, failed = kept.over(days_ago=1), kept.over(days_ago=40), kept.over(days_ago=50, end=K.RUN_FAILURE)

    first = runplane("run", "purge", "--older-than", "30d", "--keep-failed", "--yes")
    then = kept.there()
    second = runplane("run", "purge", "--older-than", "30d", "--yes", "--json")

    assert first.stdout == "1 run deleted.\n"
    assert then == {young, failed}
    assert json.loads(second.stdout) == {
        "dry_run": False,
        "deleted": 1,
        "kept": [],
        "kept_in_all": 0,
        "unfinished": [],
    }
    assert kept.there() == {young}
    assert not kept.has_anything(old)


def test_a_run_that_was_just_made_is_left_to_its_launcher(kept: Kept, home: Path, runplane) -> None:
    with Instance.from_home(home) as instance:
        made = instance.create(RunRequest("job")).run_id

    done = runplane("run", "wipe", "--yes")

    assert done.stdout == "0 runs deleted.\n"
    assert kept.there() == {made}


def test_a_re_execution_goes_before_the_run_whose_outputs_it_took(kept: Kept, runplane) -> None:
    root = kept.over()
    kept.over(root=root)

    assert runplane("run", "wipe", "--yes").stdout == "2 runs deleted.\n"


def test_an_age_that_is_none_is_refused(home: Path, runplane) -> None:
    done = runplane("run", "purge", "--older-than", "a month", "--yes")

    assert done.exit_code == 2
    assert "is no age" in done.stderr


def test_a_file_that_can_not_be_removed_is_said_and_tried_again(
    kept: Kept, runplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = kept.over()
    remove_tree = removal.remove_tree

    def refuses(folder: Path) -> None:
        raise PermissionError(f"no right to remove {folder}")

    monkeypatch.setattr(removal, "remove_tree", refuses)
    first = runplane("run", "delete", run_id, "--yes")
    monkeypatch.setattr(removal, "remove_tree", remove_tree)
    again = runplane("run", "wipe", "--yes")

    assert first.exit_code == 1
    assert "no right to remove" in first.stderr
    assert again.exit_code == 0
    assert "Went on with a deletion that was interrupted: 1 run." in again.stderr
    assert not kept.has_anything(run_id)


def test_an_output_elsewhere_goes_when_it_lies_in_a_folder_of_the_run(kept: Kept, tmp_path: Path, runplane) -> None:
    lake, run_id = tmp_path / "lake", str(uuid.uuid4())
    in_run, of_asset = lake / run_id / "a" / "result", lake / "asset"
    for path in (in_run, of_asset):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    kept.over(run_id=run_id, outputs=[in_run, of_asset, lake / "gone" / run_id / "x"])

    assert runplane("run", "delete", run_id, "--yes").exit_code == 0

    assert list(lake.iterdir()) == [of_asset]


def test_a_wipe_that_is_killed_leaves_no_run_half_there(kept: Kept, runplane) -> None:
    runs = {kept.over() for _ in range(25)}
    wiping = subprocess.Popen([sys.executable, "-m", "runplane", "run", "wipe", "--yes"], stdout=subprocess.DEVNULL)
    while len(kept.there()) > 15 and wiping.poll() is None:
        time.sleep(0.001)
    wiping.send_signal(signal.SIGKILL)
    wiping.wait()

    there = kept.there()
    done = runplane("run", "wipe", "--dry-run", "--json")
    whole = {run_id for run_id in there if kept.is_whole(run_id)}
    again = runplane("run", "wipe", "--yes")

    assert whole == there
    assert json.loads(done.stdout)["deleted"] == len(there)
    assert again.stdout == f"{len(there)} run{'' if len(there) == 1 else 's'} deleted.\n"
    assert not [run_id for run_id in runs if kept.has_anything(run_id)]
