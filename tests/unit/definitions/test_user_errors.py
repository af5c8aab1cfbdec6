"""Errors as data and text."""

import pytest

from runplane.definitions.user_errors import error_info, error_text


def _raised(fn):
    try:
        fn()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _chain(length):
    def fail():
        try:
            if length:
                raise _raised(_chain(length - 1))
            raise KeyError("bottom")
        except Exception as error:
            raise ValueError(f"level {length}") from error

    return fail


def test_the_chain_of_causes_is_kept_to_the_limit(monkeypatch):
    monkeypatch.setenv("DAGSTER_EVENT_ERROR_MAX_STACK_TRACE_DEPTH", "2")
    info = error_info(_raised(_chain(6)))
    assert (info.cls_name, info.cause.cls_name, info.cause.cause.cls_name) == ("ValueError", "ValueError", "ValueError")
    assert info.cause.cause.cause.message == "(Cause truncated due to size limitations)"
    assert info.cause.cause.cause.cause is None


def test_message_and_stack_are_cut(monkeypatch):
    monkeypatch.setenv("DAGSTER_EVENT_ERROR_FIELD_SIZE_LIMIT", "100")

    def fail():
        raise ValueError("x" * 500)

    info = error_info(_raised(fail))
    assert info.message == "ValueError: " + "x" * 88 + " (TRUNCATED)"
    assert info.stack[-1] == "(TRUNCATED)"
    assert sum(map(len, info.stack)) < 200


def test_what_was_being_handled_is_kept_unless_it_was_suppressed():
    def handled():
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")

    def suppressed():
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    assert error_info(_raised(handled)).context.cls_name == "KeyError"
    assert error_info(_raised(suppressed)).context is None


def test_text_reads_as_python_prints_it():
    text = error_text(error_info(_raised(_chain(0))))
    first, second = text.split("\n\nThe above exception was the direct cause of the following exception:\n\n")
    assert first.endswith("KeyError: 'bottom'")
    assert second.startswith("Traceback (most recent call last):\n  File ")
    assert second.endswith("ValueError: level 0")


def test_user_errors_can_be_redacted(monkeypatch, caplog):
    monkeypatch.setenv("DAGSTER_REDACT_USER_CODE_ERRORS", "true")

    def fail():
        raise ValueError("the password is hunter2")

    info = error_info(_raised(fail))
    assert "hunter2" not in str(info)
    error_id = info.message.split("error ID ")[1].split(".")[0]
    assert error_id in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_redaction_is_off_unless_asked_for(monkeypatch, value):
    monkeypatch.setenv("DAGSTER_REDACT_USER_CODE_ERRORS", value)
    assert "shown" in error_info(ValueError("shown")).message
