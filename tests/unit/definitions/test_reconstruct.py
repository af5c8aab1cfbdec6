"""Jobs that another process can load again."""

import pytest

from runplane import DagsterInvariantViolationError, job, op, reconstructable
from runplane.events.origin import ModuleCodePointer


@op
def one():
    return 1


@job
def at_the_top():
    one()


def makes_it():
    return at_the_top


def test_a_job_at_the_top_of_a_module_is_named_by_it():
    pointer = reconstructable(at_the_top).pointer
    assert isinstance(pointer, ModuleCodePointer)
    assert (pointer.module, pointer.fn_name) == (__name__, "at_the_top")
    assert reconstructable(at_the_top).job_name == "at_the_top"
    assert reconstructable(makes_it).pointer.fn_name == "makes_it"


def test_a_job_inside_a_function_is_refused():
    @job
    def hidden():
        one()

    with pytest.raises(DagsterInvariantViolationError, match="at the top of a module"):
        reconstructable(hidden)


def test_something_else_is_refused():
    with pytest.raises(DagsterInvariantViolationError, match="should be a function or definition"):
        reconstructable(3)
