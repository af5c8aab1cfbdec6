"""``execute_in_process`` and its result."""

import pytest

from runplane import (
    DagsterInvalidConfigError,
    DagsterInvariantViolationError,
    DynamicOut,
    DynamicOutput,
    Failure,
    GraphOut,
    RunplaneError,
    execute_job,
    fs_io_manager,
    graph,
    job,
    op,
    resource,
)


@op
def one():
    return 1


@op
def add(x, y):
    return x + y


@op(out=DynamicOut())
def spread():
    for i in range(3):
        yield DynamicOutput(i, f"k{i}")


@op
def double(x):
    return 2 * x


@graph(out={"sum": GraphOut(), "one": GraphOut()})
def inner(x):
    single = one()
    return {"sum": add(x, single), "one": single}


@job
def nested():
    add.alias("end")(inner(one()).sum, one())


def test_values_of_ops_graphs_and_mapped_steps():
    result = nested.execute_in_process()
    assert result.success
    assert result.output_for_node("end") == 3
    assert result.output_for_node("inner", "sum") == result.output_for_node("inner.add") == 2

    @job
    def mapped():
        spread().map(double)

    assert mapped.execute_in_process().output_for_node("spread") == {"k0": 0, "k1": 1, "k2": 2}
    assert mapped.execute_in_process().output_for_node("double") == {"k0": 0, "k1": 2, "k2": 4}


def test_a_graph_is_run_and_has_a_value():
    @graph
    def sums(x: int):
        return add(x, one())

    result = sums.execute_in_process(input_values={"x": 4})
    assert result.output_value() == 5
    with pytest.raises(DagsterInvariantViolationError, match="has no output 'sum'"):
        result.output_value("sum")


def test_names_that_are_not_there_are_named():
    result = nested.execute_in_process()
    with pytest.raises(DagsterInvariantViolationError, match=r"nested has no op named ends.*'end'"):
        result.output_for_node("ends")
    with pytest.raises(DagsterInvariantViolationError, match="has no output 'resul'.*'result'"):
        result.output_for_node("end", "resul")


@op
def fails():
    raise KeyError("mine")


@op
def gives_up():
    raise Failure("on purpose")


@job
def failing():
    double(fails())


def test_the_users_own_exception_is_raised_unless_told_otherwise():
    with pytest.raises(KeyError, match="mine"):
        failing.execute_in_process()
    with pytest.raises(Failure, match="on purpose"):
        job(name="purpose")(lambda: gives_up() and None).execute_in_process()
    result = failing.execute_in_process(raise_on_error=False)
    assert not result.success
    assert result.is_node_failed("fails")
    assert result.is_node_untouched("double") or not result.is_node_success("double")
    assert result.get_failed_step_keys() == {"fails"}
    with pytest.raises(DagsterInvariantViolationError, match="Did not find result 'result' in node 'fails'"):
        result.output_for_node("fails")


@resource(config_schema=int)
def number(context):
    return context.resource_config


@op(required_resource_keys={"number"})
def uses(context):
    return context.resources.number


@job(resource_defs={"number": number}, tags={"team": "a", "level": 1})
def with_resource():
    uses()


def test_what_a_run_can_be_given():
    config = {"resources": {"number": {"config": 3}}, "execution": {"config": {"multiprocess": {"max_concurrent": 2}}}}
    assert with_resource.execute_in_process(config).output_for_node("uses") == 3
    assert with_resource.execute_in_process(resources={"number": 9}).output_for_node("uses") == 9
    run = with_resource.execute_in_process(resources={"number": 1}, tags={"level": "2"}).run
    assert {k: run.tags[k] for k in ("team", "level")} == {"team": "a", "level": "2"}
    with pytest.raises(DagsterInvalidConfigError, match=r"resources\.number\.config: missing"):
        with_resource.execute_in_process()


def test_part_of_a_job():
    result = nested.execute_in_process(op_selection=["*inner.add"])
    assert result.success
    assert result.is_node_success("inner.add")
    assert result.is_node_untouched("end")


def test_values_stay_in_memory_unless_an_io_manager_was_given(tmp_path):
    @op
    def gives():
        return unpicklable

    unpicklable = lambda: 1

    @job
    def in_memory():
        gives()

    assert in_memory.execute_in_process().output_for_node("gives") is unpicklable

    @job(resource_defs={"io_manager": fs_io_manager.configured({"base_dir": str(tmp_path)})})
    def in_files():
        one()

    result = in_files.execute_in_process()
    assert result.output_for_node("one") == 1
    assert (tmp_path / result.run_id / "one" / "result").is_file()


def test_events_of_a_node():
    result = nested.execute_in_process()
    assert [e.event_type_value for e in result.events_for_node("inner.one")][-1] == "STEP_SUCCESS"
    assert len(result.get_step_success_events()) == 5


def test_a_job_that_others_can_not_load_is_refused_by_execute_job():
    with pytest.raises(RunplaneError, match="reconstructable"):
        execute_job(nested, instance=None)


def test_config_of_a_graph_configures_its_ops():
    @op(config_schema={"n": int})
    def configured(context):
        return context.op_config["n"]

    @graph(config={"configured": {"config": {"n": 7}}})
    def fixed():
        return configured()

    @graph(config=lambda n: {"configured": {"config": {"n": n}}})
    def mapped():
        return configured()

    @job
    def whole():
        fixed()
        mapped()

    result = whole.execute_in_process({"ops": {"mapped": {"config": 8}}})
    assert (result.output_for_node("fixed"), result.output_for_node("mapped")) == (7, 8)


def test_a_value_of_the_users_that_looks_like_an_event_is_a_value():
    class Bill:
        def to_note(self):
            return "100"

    @op
    def bill():
        return Bill()

    @job
    def bills():
        bill()

    assert bills.execute_in_process().output_for_node("bill").to_note() == "100"
