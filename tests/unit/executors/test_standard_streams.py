"""Standard streams that write line by line while steps run, and are as before afterwards."""

import io
import os
import sys
from pathlib import Path

import pytest

from runplane.executors.standard_streams import by_line, flush


def standard_output(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What leaves the process by its standard output from now on."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    return raw


def test_each_line_leaves_at_once_and_later_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    written = standard_output(monkeypatch)
    restore = by_line()
    print("one", "\u20ac")
    assert written.getvalue() == b"one \\u20ac\n"

    restore()
    print("two")

    assert written.getvalue() == b"one \\u20ac\n"
    with pytest.raises(UnicodeEncodeError):
        print("\u20ac")


def test_a_stream_that_user_code_closes_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_output(monkeypatch)
    restore = by_line()
    sys.stdout.close()

    flush()
    restore()
    by_line()()


def test_a_stream_that_was_made_for_a_file_and_leads_into_a_pipe_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = (tmp_path / "out").open("wb", buffering=0)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(file), encoding="ascii", errors="strict"))
    source, end = os.pipe()
    os.dup2(end, file.fileno())
    os.close(end)

    by_line()
    print("one", "\u20ac")

    assert os.read(source, 100) == b"one \\u20ac\n"
    os.close(source)
    sys.stdout.close()
