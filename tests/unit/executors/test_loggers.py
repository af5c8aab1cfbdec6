"""``get_dagster_logger``: its lines are lines of the run, wherever they are written."""

from runplane import get_dagster_logger, job, op

LIBRARY = get_dagster_logger("library")


@op
def says():
    LIBRARY.info("from a library")


@job
def heard():
    says()


def test_lines_of_the_built_in_logger_are_lines_of_the_step_that_writes_them():
    lines = [e for e in heard.execute_in_process().stored_events if e.kind == "LOG"]

    assert [(e.step, e.body["message"], e.body["level"]) for e in lines] == [("says", "from a library", 20)]


def test_lines_outside_of_a_run_are_nobodys():
    heard.execute_in_process()

    assert LIBRARY.handlers == LIBRARY.parent.handlers == []
