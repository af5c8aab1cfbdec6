"""Standard streams that write line by line while steps run, and are as before afterwards."""

import io
import sys

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
