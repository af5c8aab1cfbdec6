"""Run config is validated whole: every problem at once, each with its path."""

import pytest

from runplane import (
    Config,
    DagsterInvalidConfigError,
    Definitions,
    Field,
    Noneable,
    Permissive,
    RunConfig,
    Selector,
    StringSource,
    graph,
    job,
    multiprocess_executor,
    op,
    resource,
)
from runplane.plan.compile import compile_plan


@op(config_schema={"n": int, "names": Field([str], default_value=["a"]), "opt": Noneable(str)})
def configured():
    pass


@op
def takes(a: int, b: str = "x"):
    pass


@resource(config_schema={"url": StringSource})
def db(_context):
    return 1


@job(resource_defs={"db": db})
def whole():
    configured()
    takes()


GOOD = {
    "ops": {"configured": {"config": {"n": 1}}, "takes": {"inputs": {"a": 3}}},
    "resources": {"db": {"config": {"url": {"env": "DB_URL"}}}},
}


def _paths(a_job, config):
    with pytest.raises(DagsterInvalidConfigError) as caught:
        compile_plan(a_job, config)
    return {p.path: p for p in caught.value.problems}


def test_a_good_config_compiles_without_the_variables_it_names():
    compile_plan(whole, GOOD)


def test_every_problem_is_told_with_its_path():
    problems = _paths(
        whole,
        {
            "op": {},
            "ops": {"configured": {"config": {"n": "x", "nn": 1}}, "takes": {"inputs": {"a": {"valu": 1}}}, "zz": {}},
            "resources": {"db": {"config": {"url": 3}}, "dbb": {}},
            "execution": {"config": {"multiproces": {}}},
            "loggers": {"console": {"config": {"log_level": "x"}}},
            "inputs": {"q": 1},
        },
    )
    assert set(problems) == {
        "op",
        "ops.zz",
        "ops.configured.config.n",
        "ops.configured.config.nn",
        "ops.takes.inputs.a.valu",
        "resources.dbb",
        "resources.db.config.url",
        "execution.config.multiproces",
        "loggers.console.config.log_level",
        "inputs.q",
    }
    assert problems["op"].suggestion == "ops"
    assert problems["ops.configured.config.n"].got == "'x'"
    assert problems["resources.dbb"].suggestion == "db"


def test_what_is_missing_is_told():
    assert set(_paths(whole, {})) == {"ops.configured.config", "ops.takes.inputs.a", "resources.db.config"}


def test_config_inside_a_graph_has_the_graphs_path():
    @graph
    def inner():
        configured()

    @job
    def nested():
        inner()

    assert set(_paths(nested, {"ops": {"inner": {"ops": {"configured": {"config": {"n": "x"}}}}}})) == {
        "ops.inner.ops.configured.config.n"
    }


def test_a_selector_takes_exactly_one():
    @op(config_schema=Selector({"a": int, "b": Permissive()}))
    def chosen():
        pass

    @job
    def choosing():
        chosen()

    compile_plan(choosing, {"ops": {"chosen": {"config": {"b": {"x": 1}}}}})
    assert set(_paths(choosing, {"ops": {"chosen": {"config": {"a": 1, "b": {}}}}})) == {"ops.chosen.config"}


def test_the_jobs_own_config_is_the_default():
    @job(config={"ops": {"configured": {"config": {"n": 4}}}})
    def own():
        configured()

    compile_plan(own)
    assert set(_paths(own, {})) == {"ops.configured.config"}


def test_config_classes_are_schemas():
    class Mine(Config):
        n: int = 3
        name: str
        tags: list[str] = []

    @op
    def uses(config: Mine):
        return config

    @job
    def classy():
        uses()

    assert set(_paths(classy, {"ops": {"uses": {"config": {"name": 3, "z": 1}}}})) == {
        "ops.uses.config.name",
        "ops.uses.config.z",
    }
    compile_plan(classy, RunConfig(ops={"uses": Mine(name="x")}).to_config_dict())
    assert uses(Mine(name="q")).name == "q"


def test_the_default_executor_is_chosen_by_its_config():
    @job
    def plain():
        takes.alias("t")()

    given = {"ops": {"t": {"inputs": {"a": 1}}}}
    default = compile_plan(plain, given).executor
    assert (default["name"], default["config"]["start_method"]) == ("multiprocess", {"template": {}})
    assert default["config"]["step_dependency_config"] == {"require_upstream_step_success": True}
    chosen = compile_plan(
        plain, {**given, "execution": {"config": {"in_process": {"retries": {"disabled": {}}}}}}
    ).executor
    assert (chosen["name"], chosen["config"]) == ("in_process", {"retries": {"disabled": {}}})
    bad = {**given, "execution": {"config": {"multiprocess": {"max_concurent": 2}}}}
    assert _paths(plain, bad)["execution.config.multiprocess.max_concurent"].suggestion == "max_concurrent"


def test_a_configured_executor_keeps_its_config():
    @job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}, name="two"))
    def two():
        pass

    executor = compile_plan(two).executor
    assert (executor["name"], executor["class"], executor["config"]["max_concurrent"]) == (
        "two",
        "MultiprocessExecutor",
        2,
    )
    with pytest.raises(DagsterInvalidConfigError, match="max_concurrent"):
        multiprocess_executor.configured({"max_concurrent": "x"})


def test_definitions_give_resources_and_executor_to_jobs_without():
    defs = Definitions(jobs=[whole], resources={"db": 5, "other": 6}, executor=multiprocess_executor)
    found = defs.get_job_def("whole")
    assert found.resource_defs["db"] is db
    assert "other" in found.resource_defs
    assert found.executor_def is multiprocess_executor
