"""A job becomes plan data."""

import time

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    DagsterUnmetExecutorRequirementsError,
    DynamicOut,
    DynamicOutput,
    FilesystemIOManager,
    In,
    Nothing,
    Out,
    RetryPolicy,
    fs_io_manager,
    in_process_executor,
    io_manager,
    job,
    k8s_job_executor,
    mem_io_manager,
    op,
    resource,
)
from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, RetryPlan, plan_from_body, plan_to_body
from runplane.errors import NotFoundError
from runplane.plan.compile import compile_plan


@op
def one():
    return 1


@op
def add(x, y):
    return x + y


def _only(a_job):
    (step,) = compile_plan(a_job).steps
    return step


def test_a_step_says_all_that_the_engine_needs():
    @resource(required_resource_keys={"settings"})
    def db(_):
        return 1

    @op(
        out={"p": Out(is_required=False, io_manager_key="files"), "q": DynamicOut(), "r": Out(Nothing)},
        required_resource_keys={"db"},
        tags={"dagster/priority": 3, "runplane/timeout": 1.5, "dagster-k8s/config": {"b": 1, "a": True}},
        retry_policy=RetryPolicy(max_retries=2, delay=3),
        pool="warehouse",
    )
    def rich():
        yield DynamicOutput(1, "a", "q")

    @io_manager
    def files(_):
        return object()

    @job(resource_defs={"db": db, "settings": 1, "files": files})
    def whole():
        rich()

    step = _only(whole)
    assert (step.key, step.node, step.op_name) == ("rich", "rich", "rich")
    assert step.outputs == (OutputPlan("p", False), OutputPlan("q", True, True), OutputPlan("r"))
    assert step.tags["dagster-k8s/config"] == '{"a": true, "b": 1}'
    assert (step.priority, step.timeout_s, step.pools) == (3, 1.5, ("warehouse",))
    assert step.retry == RetryPlan(2, 3.0)
    assert step.resource_keys == ("db", "files", "io_manager", "settings")


def test_inputs_say_what_they_are_made_from():
    @op(out=DynamicOut())
    def spread():
        yield DynamicOutput(1, "a")

    @op(ins={"after": In(Nothing)})
    def last(xs, both, plain=3):
        return xs

    @job
    def whole():
        xs = spread().map(lambda x: add(x, one.alias("side")()))
        last(xs.collect(), [one(), one()], after=one.alias("before")())

    steps = {s.key: s for s in compile_plan(whole, {}).steps}
    assert steps["add[?]"].mapped_over == OutputRef("spread", "result")
    assert steps["add[?]"].inputs[0] == InputPlan("x", (OutputRef("spread", "result"),))
    assert steps["last"].inputs == (
        InputPlan("xs", (OutputRef("add[?]", "result"),), collect=True),
        InputPlan("both", (OutputRef("one", "result"), OutputRef("one_2", "result")), fan_in=True),
        InputPlan("plain"),
        InputPlan("after", (OutputRef("before", "result"),)),
    )


def test_the_plan_survives_its_stored_form():
    @job(tags={"a": 3})
    def whole():
        add(one(), one())

    plan = compile_plan(whole)
    assert plan_from_body(plan_to_body(plan)) == plan
    assert plan.tags == {"a": "3"}


def test_the_jobs_retry_policy_is_the_default():
    @op(retry_policy=RetryPolicy(max_retries=7))
    def own():
        pass

    @job(op_retry_policy=RetryPolicy(max_retries=2))
    def whole():
        own()
        one()

    assert {s.key: s.retry.max_retries for s in compile_plan(whole).steps} == {"own": 7, "one": 2}


def test_the_older_tag_names_a_pool_too():
    @op(tags={"dagster/concurrency_key": "db"})
    def pooled():
        pass

    @job
    def whole():
        pooled()

    assert _only(whole).pools == ("db",)


@pytest.mark.parametrize("limit", ["soon", "-1", "0", "inf"])
def test_a_time_limit_that_is_none_is_refused(limit):
    @op(tags={"runplane/timeout": limit})
    def slow():
        pass

    @job
    def whole():
        slow()

    with pytest.raises(DagsterInvalidDefinitionError, match="is not a time limit"):
        compile_plan(whole)


def test_a_priority_that_is_no_number_is_none():
    @op(tags={"dagster/priority": "high"})
    def some():
        pass

    @job
    def whole():
        some()

    assert _only(whole).priority == 0


def test_a_resource_that_was_not_provided_is_named():
    @op(required_resource_keys={"dbase"})
    def needs():
        pass

    @job(resource_defs={"database": 1})
    def whole():
        needs()

    with pytest.raises(
        DagsterInvalidDefinitionError, match=r"key 'dbase' required by op 'needs' was not provided.*'database'"
    ):
        compile_plan(whole)


def test_executors_that_run_steps_elsewhere_need_outputs_that_last():
    @job(resource_defs={"io_manager": mem_io_manager}, executor_def=k8s_job_executor)
    def lost():
        add(one(), one())

    with pytest.raises(DagsterUnmetExecutorRequirementsError, match="memory of one process"):
        compile_plan(lost)

    @job(resource_defs={"io_manager": mem_io_manager}, executor_def=in_process_executor)
    def kept():
        add(one(), one())

    assert len(compile_plan(kept).steps) == 3


def test_an_executor_is_a_pointer_that_imports_nothing():
    @job(executor_def=k8s_job_executor.configured({"max_concurrent": 4}))
    def whole():
        one()

    executor = compile_plan(whole).executor
    assert (executor["name"], executor["module"], executor["class"]) == (
        "k8s",
        "runplane.executors.k8s_job",
        "K8sJobExecutor",
    )
    assert executor["config"]["max_concurrent"] == 4
    assert executor["config"]["retries"] == {"enabled": {}}


def test_only_the_steps_asked_for():
    @job
    def whole():
        add(add.alias("inner")(one(), one()), one())

    plan = compile_plan(whole, step_keys=["add", "inner"])
    assert [s.key for s in plan.steps] == ["inner", "add"]
    assert plan.step("add").inputs[1].sources == (OutputRef("one_3", "result"),)
    with pytest.raises(NotFoundError, match="has no step 'iner'.*Did you mean 'inner'"):
        compile_plan(whole, step_keys=["iner"])


@pytest.mark.parametrize("shape", ["chain", "layers", "star"])
def test_ten_thousand_ops_take_no_more_than_some_seconds(shape):
    def chain():
        x = one()
        for _ in range(9_999):
            x = add(x, x)

    def layers():
        row = [one() for _ in range(100)]
        for _ in range(99):
            row = [add(x, x) for x in row]

    def star():
        x = one()
        for _ in range(9_999):
            add(x, x)

    big = job(name="big")({"chain": chain, "layers": layers, "star": star}[shape])
    began = time.process_time()
    plan = compile_plan(big)
    assert len(plan.steps) == 10_000
    assert time.process_time() - began < 15.0, "a quarter of a second when it is linear, minutes when it is not"


def test_io_managers_that_keep_files_of_the_machine_are_in_the_plan_with_their_folders():
    @op(out={"a": Out(io_manager_key="plain"), "b": Out(io_manager_key="there"), "c": Out(io_manager_key="remote")})
    def three():
        return 1, 2, 3

    given = {
        "plain": fs_io_manager,
        "there": fs_io_manager.configured({"base_dir": "/data"}),
        "remote": FilesystemIOManager(base_dir="s3://bucket/folder"),
        "unused": fs_io_manager,
    }

    @job(resource_defs=given)
    def of_three():
        three()

    plan = compile_plan(of_three)

    assert plan.local_files == {"plain": "", "there": "/data"}
    assert plan_from_body(plan_to_body(plan)) == plan
