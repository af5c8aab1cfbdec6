"""Op selection queries."""

import pytest

from runplane import DagsterInvalidConfigError, DagsterInvalidSubsetError, graph, job, op
from runplane.plan.compile import compile_plan
from runplane.plan.selection import select_ops


@op
def a():
    return 1


@op
def b(x):
    return x


@graph
def inner(x):
    return b.alias("i2")(b.alias("i1")(x))


@job
def line():
    b.alias("e")(b.alias("d")(inner(b.alias("c")(a()))))
    a.alias("apart")()


@pytest.mark.parametrize(
    ("queries", "selected"),
    [
        (["c"], {"c"}),
        (["*"], {"a", "c", "inner.i1", "inner.i2", "d", "e", "apart"}),
        (["*c"], {"a", "c"}),
        (["d*"], {"d", "e"}),
        (["+d"], {"inner.i1", "inner.i2", "d"}),
        (["++d"], {"c", "inner.i1", "inner.i2", "d"}),
        (["+inner.i2"], {"inner.i1", "inner.i2"}),
        (["a+*"], {"a", "c", "inner.i1", "inner.i2", "d", "e"}),
        (["c+"], {"c", "inner.i1", "inner.i2"}),
        (["+c+"], {"a", "c", "inner.i1", "inner.i2"}),
        (["*d*"], {"a", "c", "inner.i1", "inner.i2", "d", "e"}),
        (["inner"], {"inner.i1", "inner.i2"}),
        (["inner.i1"], {"inner.i1"}),
        (["a", "apart"], {"a", "apart"}),
    ],
)
def test_queries(queries, selected):
    assert select_ops(line.wiring, queries) == selected


def test_a_query_that_names_nothing_is_refused():
    with pytest.raises(DagsterInvalidSubsetError, match="there is no op 'apar'.*Did you mean 'apart'"):
        select_ops(line.wiring, ["*a", "apar"])
    with pytest.raises(DagsterInvalidSubsetError, match="not a selection query"):
        select_ops(line.wiring, ["a b"])


def test_what_a_selected_op_took_from_another_needs_a_value():
    with pytest.raises(DagsterInvalidConfigError, match=r"ops\.c\.inputs\.x: missing"):
        compile_plan(line, {}, selection=["c*"])
    plan = compile_plan(line, {"ops": {"c": {"inputs": {"x": {"value": 3}}}}}, selection=["c"])
    assert [s.key for s in plan.steps] == ["c"]
    assert plan.steps[0].inputs[0].sources == ()


def test_config_of_what_is_not_selected_may_stay_and_need_not():
    @op(config_schema=int)
    def needs(x):
        return x

    @job
    def whole():
        needs(a())

    assert [s.key for s in compile_plan(whole, {}, selection=["a"]).steps] == ["a"]
    compile_plan(whole, {"ops": {"needs": {"config": 3}}}, selection=["a"])
