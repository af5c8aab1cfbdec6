"""How many templates a worker has, and for how long: real ones, whose steps end at once as there is no instance for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import ExecuteStepArgs
from runplane.instance.instance import Instance
from runplane.storage.contract import AttemptRef
from runplane.workers import step_templates
from runplane.workers.child_writes import ChildWrites
from runplane.workers.step_templates import ForkedStep, StepTemplates

END_S = 60.0
RUN_ID = "0f2f65e4-6f5c-4c33-9f43-0d1d5a2b7c11"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def templates(said: list[str]) -> Iterator[StepTemplates]:
    with Instance.ephemeral() as instance:
        made = StepTemplates((), ChildWrites(instance.journal, lambda: None), said.append, lambda: None)
        yield made
        made.close()


def args_of(folder: Path, name: str, text: str = "") -> ExecuteStepArgs:
    """A request for a step of a file of code that writes down where it is imported."""
    file = folder / f"{name}.py"
    file.write_text(
        f"import os\nopen({str(folder / name)!r}, 'a').write(f'{{os.getpid()}}\\n')\n{text}", encoding="utf-8"
    )
    origin = RepositoryOrigin(sys.executable, FileCodePointer(str(file), "jobs"))
    return ExecuteStepArgs(None, JobOrigin("a_job", origin), RUN_ID, ("a_step",))


def started(templates: StepTemplates, args: ExecuteStepArgs, n: int = 1) -> ForkedStep:
    step = templates.start(sys.executable, AttemptRef("a_step", n), args)
    assert step is not None
    return step


def end_of(step: ForkedStep) -> dict[str, object]:
    end = time.monotonic() + END_S
    while (evidence := step.evidence()) is None:
        assert time.monotonic() < end, "the step has not ended"
        time.sleep(0.01)
    return evidence


def imports(folder: Path, name: str) -> int:
    return len((folder / name).read_text(encoding="utf-8").splitlines())


def test_the_steps_of_some_code_have_one_template(templates: StepTemplates, tmp_path: Path) -> None:
    args = args_of(tmp_path, "some", "jobs = 1\n")

    codes = {end_of(started(templates, args, n))["code"] for n in (1, 2, 3)}

    assert codes == {ExitCode.NO_INSTANCE}
    assert imports(tmp_path, "some") == 1


def test_a_template_that_has_nothing_to_do_is_ended(
    templates: StepTemplates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = args_of(tmp_path, "some", "jobs = 1\n")
    end_of(started(templates, args))

    monkeypatch.setattr(step_templates, "IDLE_S", 0.0)
    templates.tidy()
    end_of(started(templates, args))

    assert imports(tmp_path, "some") == 2


def test_the_one_that_was_idle_for_longest_makes_room(
    templates: StepTemplates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_templates, "MOST", 2)
    codes = {name: args_of(tmp_path, name, "jobs = 1\n") for name in ("first", "second", "third")}
    for name in ("first", "second", "third", "second", "first"):
        end_of(started(templates, codes[name]))

    assert [imports(tmp_path, name) for name in codes] == [2, 1, 1]


def test_where_all_are_busy_no_step_is_forked(
    templates: StepTemplates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_templates, "MOST", 1)
    busy = started(templates, args_of(tmp_path, "busy", "import time\ntime.sleep(600)\n"))

    other = templates.start(sys.executable, AttemptRef("a_step", 1), args_of(tmp_path, "other"))

    assert other is None
    busy.end(0.0)
    assert end_of(busy) == {"text": "it was to be stopped before it had a process"}


@pytest.mark.parametrize("again_s", [0.0, 60.0])
def test_code_that_fails_is_left_to_its_steps_for_a_while(
    templates: StepTemplates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again_s: float
) -> None:
    monkeypatch.setattr(step_templates, "AGAIN_S", again_s)
    args = args_of(tmp_path, "broken", "raise ValueError('not today')\n")

    evidence = end_of(started(templates, args))

    assert evidence["code"] == ExitCode.NO_INSTANCE, "the process that was started anew would have told the user why"
    is_tried_again = templates.start(sys.executable, AttemptRef("a_step", 2), args) is not None
    assert is_tried_again == (again_s == 0.0)


def test_a_step_that_is_to_end_before_it_has_a_process_gets_none(templates: StepTemplates, tmp_path: Path) -> None:
    args = args_of(tmp_path, "slow", "import time\ntime.sleep(600)\n")
    step = started(templates, args)

    step.end(5.0)

    assert end_of(step) == {"text": "it was to be stopped before it had a process"}
