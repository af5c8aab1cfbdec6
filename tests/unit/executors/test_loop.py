"""The one thread under the runners of processes and of Jobs."""

from __future__ import annotations

import threading

from runplane.executors.loop import Loop


def test_a_loop_may_be_told_twice_that_it_is_over() -> None:
    # A template that is killed while its run ends loses several children in one turn, and each may be the last.
    errors: list[BaseException] = []
    over = threading.Event()

    def end_twice() -> None:
        loop.end()
        loop.end()
        over.set()

    loop = Loop("test", end_twice, errors.append)

    loop.start()
    loop.close(lambda: None)

    assert over.is_set()
    assert errors == []


def test_what_a_call_raises_is_told_once_and_ends_the_thread() -> None:
    errors: list[BaseException] = []

    def fail() -> None:
        raise RuntimeError("a fault")

    loop = Loop("test", lambda: loop.after(0, fail), errors.append)

    loop.start()
    loop.close(lambda: None)

    assert [str(e) for e in errors] == ["a fault"]
