"""What the body of a job or graph builds."""

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    DynamicOut,
    DynamicOutput,
    GraphOut,
    In,
    Nothing,
    Out,
    RetryPolicy,
    graph,
    job,
    op,
)


@op
def one():
    return 1


@op
def add(x, y):
    return x + y


@op(out=DynamicOut())
def spread():
    yield DynamicOutput(1, "a")


def _wiring(a_job):
    return {
        w.key: {n: ([f"{r.step}.{r.output}" for r in i.sources], i.fan_in, i.collect) for n, i in w.inputs.items()}
        for w in a_job.wiring
    }


def test_calls_become_nodes_with_dependencies_and_numbered_names():
    @job
    def sums():
        add(one(), y=one())
        add(one(), one())

    assert _wiring(sums) == {
        "one": {},
        "one_2": {},
        "one_3": {},
        "one_4": {},
        "add": {"x": (["one.result"], False, False), "y": (["one_2.result"], False, False)},
        "add_2": {"x": (["one_3.result"], False, False), "y": (["one_4.result"], False, False)},
    }


def test_plan_order_is_levels_with_names_sorted_inside():
    @job
    def nested():
        @graph
        def inner(x):
            return add(x, one())

        add.alias("top")(inner(one()), inner.alias("again")(one()))

    assert [w.key for w in nested.wiring] == ["again.one", "inner.one", "one", "one_2", "again.add", "inner.add", "top"]


def test_a_list_is_a_fan_in():
    @job
    def fan():
        add([one(), one()], one())

    assert _wiring(fan)["add"]["x"] == (["one.result", "one_2.result"], True, False)


def test_map_makes_templates_and_collect_a_list():
    @op
    def double(x):
        return 2 * x

    @op
    def total(xs):
        return sum(xs)

    @job
    def mapped():
        total(spread().map(double).collect())

    keyed = {w.key: w.mapped_over for w in mapped.wiring}
    assert keyed == {"spread": None, "double[?]": ("spread", "result"), "total": None}
    assert _wiring(mapped)["total"]["xs"] == (["double[?].result"], False, True)


def test_what_follows_a_mapped_step_is_mapped_over_the_same_output():
    @op
    def double(x):
        return 2 * x

    @job
    def mapped():
        spread().map(lambda x: add(double(x), x))

    assert {w.key: w.mapped_over for w in mapped.wiring}["add[?]"] == ("spread", "result")


def test_several_outputs_are_a_named_tuple():
    @op(out={"p": Out(), "q": Out()})
    def pair():
        return 1, 2

    @job
    def uses():
        made = pair()
        add(made.p, made[1])

    assert _wiring(uses)["add"] == {"x": (["pair.p"], False, False), "y": (["pair.q"], False, False)}


def test_a_graph_maps_its_inputs_and_outputs_to_the_ops_inside():
    @graph(out={"left": GraphOut(), "right": GraphOut()})
    def both(x):
        made = add(x, one())
        return {"left": made, "right": one()}

    @job
    def uses():
        made = both(one())
        add.alias("end")(made.left, made.right)

    wiring = _wiring(uses)
    assert wiring["both.add"]["x"] == (["one.result"], False, False)
    assert wiring["end"] == {"x": (["both.add.result"], False, False), "y": (["both.one_2.result"], False, False)}


def test_a_graph_may_give_a_dynamic_output():
    @graph
    def inside():
        return spread()

    @op
    def double(x):
        return x

    @job
    def uses():
        inside().map(double)

    assert {w.key: w.mapped_over for w in uses.wiring}["double[?]"] == ("inside.spread", "result")


def test_nothing_inputs_only_order():
    @op(ins={"after": In(Nothing)})
    def last():
        return None

    @job
    def ordered():
        last(after=one())

    assert _wiring(ordered)["last"]["after"] == (["one.result"], False, False)


def test_alias_tags_and_retry_policy_belong_to_the_use():
    policy = RetryPolicy(max_retries=2)

    @job
    def uses():
        one.alias("first").tag({"a": "b"}).with_retry_policy(policy)()
        one()

    first, plain = sorted(uses.wiring, key=lambda w: w.key)
    assert (first.key, dict(first.tags), first.retry_policy) == ("first", {"a": "b"}, policy)
    assert (plain.key, dict(plain.tags), plain.retry_policy) == ("one", {}, None)


def _bad(body, match):
    with pytest.raises(DagsterInvalidDefinitionError, match=match):
        job(name="bad")(body)


def test_what_can_not_be_connected_is_refused_with_dagsters_words():
    _bad(lambda: add(1, one()), r"received invalid type <class 'int'> for input \"x\" \(at position 0\)")
    _bad(lambda: add(one(), z=one()), r'does not have input "z"')
    _bad(lambda: add(one(), one(), one()), "received too many inputs for invocation add. Only 2 defined, received 3")
    _bad(lambda: add(spread(), one()), "Dynamic output must be unpacked by invoking map or collect")
    _bad(lambda: add(one, one()), "Did you forget parentheses")
    _bad(lambda: add([one(), 5], one()), "a list containing an invalid type at index 1")
    _bad(lambda: 5, "returned problematic value of type <class 'int'>")


def test_one_op_can_not_be_mapped_over_two_dynamic_outputs():
    def body():
        left, right = spread(), spread()
        left.map(lambda x: right.map(lambda y: add(x, y)))

    _bad(body, "cannot be downstream of more than one dynamic output")


def test_a_dynamic_output_can_not_be_made_inside_a_mapped_step():
    @op(out=DynamicOut())
    def again(x):
        yield DynamicOutput(x, "a")

    _bad(lambda: spread().map(again) and None, "cannot be downstream of more than one dynamic output")


def test_an_input_of_a_graph_that_nothing_uses_is_refused():
    with pytest.raises(DagsterInvalidDefinitionError, match="has parameter 'x' which is not used"):

        @graph
        def idle(x):
            one()


def test_the_same_alias_twice_is_refused():
    def body():
        one.alias("a")()
        one.alias("a")()

    _bad(body, "given to two nodes")


def test_names_follow_dagsters_rule():
    with pytest.raises(DagsterInvalidDefinitionError, match="Names must be in regex"):
        op(name="a b")(lambda: 1)
    with pytest.raises(DagsterInvalidDefinitionError, match="reserved keyword"):
        op(name="input")(lambda: 1)
