"""Steps in processes of one pod, whose log is the only place that has what they print: the end of it is told when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.events.causes import FailureCause
from runplane.events.event import NewEvent
from runplane.executors.pod_output import KEPT_BYTES, PodOutput
from runplane.kube.printed import LOG_CHARACTERS, LOG_LINES
from runplane.storage.compute_logs import PodLogStore
from runplane.storage.contract import AttemptRef
from services.multiprocess_room import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Room(tmp_path, store=PodLogStore("a-pod")) as made:
        yield made


def lines_of(event: NewEvent) -> list[str]:
    said, *lines = str(event.body["evidence"]).splitlines()
    assert said == "It printed last:"
    return lines


def test_what_a_failed_step_printed_last_is_told_before_its_outcome_and_is_in_the_pods_log(
    room: Room, capfd: pytest.CaptureFixture[str]
) -> None:
    ref = room.start("prints_and_fails")

    room.outcome(ref)

    told, outcome = room.events(ref)
    assert outcome.kind == "STEP_FAILURE"
    assert told.body["message"].startswith("Step prints_and_fails, attempt 1, failed in pod a-pod. It printed last:")
    assert sorted(lines_of(told)) == ["by a child of the step", "on its way with token=[hidden]", "so it ends here"]
    room.runner.close()
    out, err = capfd.readouterr()
    assert out.splitlines() == ["on its way with token=tulip", "by a child of the step"]
    assert err.splitlines() == ["so it ends here"]


def test_a_process_that_dies_leaves_what_it_printed_last_as_evidence(room: Room) -> None:
    gone = room.gone(room.start("printing"))

    assert gone.cause is FailureCause.CRASHED
    first, *lines = gone.evidence.splitlines()
    assert first == "its process was killed by SIGKILL"
    assert "by a child of the step" in lines


def test_of_much_output_all_is_passed_on_and_the_end_is_told(room: Room, capfd: pytest.CaptureFixture[str]) -> None:
    ref = room.start("floods_and_fails")

    room.outcome(ref)

    (told, _) = room.events(ref)
    assert lines_of(told)[-1] == "the end"
    assert len(str(told.body["evidence"])) <= LOG_CHARACTERS + len("It printed last:\n")
    room.runner.close()
    assert len(capfd.readouterr().out) == 4096 * 1024 + len("the end\n")


@pytest.mark.parametrize("step", ["ok", "exit_code"])
def test_nothing_is_told_of_a_step_that_printed_nothing(room: Room, step: str) -> None:
    ref = room.start(step)

    room.hear(lambda: any(e.kind == "STEP_SUCCESS" for e in room.events(ref)) or ref in room.all_gone())

    assert not any("evidence" in e.body for e in room.events(ref))
    assert "printed" not in "".join(gone.evidence for gone in room.signals if hasattr(gone, "evidence"))


# The pipes alone ------------------------------------------------------------------------------------------------------------------


A = AttemptRef("a", 1)


@pytest.fixture
def printing(tmp_path: Path) -> Iterator[Callable[[bytes], PodOutput]]:
    """Makes one whose attempt has printed this."""
    target = (tmp_path / "pod.log").open("wb")
    made: list[PodOutput] = []

    def broke(error: BaseException) -> None:
        raise AssertionError(error)

    def printing(data: bytes) -> PodOutput:
        made.append(PodOutput(broke, (target.fileno(), target.fileno())))
        out, err = made[-1].open(A)
        with open(out, "wb") as stream, open(err, "wb"):
            stream.write(data)
        return made[-1]

    yield printing
    for one in made:
        one.close()
    target.close()


def test_the_last_lines_are_told(printing: Callable[[bytes], PodOutput]) -> None:
    output = printing(b"".join(b"line %d\n" % i for i in range(100)))

    told = output.last(A).splitlines()

    assert told == ["It printed last:", *(f"line {i}" for i in range(100 - LOG_LINES, 100))]


def test_a_line_whose_beginning_is_not_kept_is_left_out(printing: Callable[[bytes], PodOutput]) -> None:
    """It may be a part of a secret, which would not be known for one."""
    output = printing(b"password=" + b"s" * 3 * KEPT_BYTES + b"\nthe end\n")

    assert output.last(A) == "It printed last:\nthe end"


def test_all_is_passed_on_at_the_end(printing: Callable[[bytes], PodOutput], tmp_path: Path) -> None:
    output = printing(b"one\n" * 50_000)

    output.close()

    assert (tmp_path / "pod.log").read_bytes() == b"one\n" * 50_000


def test_nothing_is_told_of_what_is_forgotten(printing: Callable[[bytes], PodOutput]) -> None:
    output = printing(b"something\n")

    output.forget(A)

    assert output.last(A) == ""
