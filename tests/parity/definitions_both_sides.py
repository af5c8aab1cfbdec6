"""One file of user code for two libraries: run by a Python that has it, with the library's name as argument; prints JSON.

``jobs``: for each job the events of its steps. ``refused``: for each definition that can not work, the class and text of the error.
"""

import importlib
import json
import re
import sys
import warnings

warnings.simplefilter("ignore")
LIBRARY = sys.argv[1]
d = importlib.import_module(LIBRARY)

STEP_KINDS = {
    *("STEP_START", "STEP_RESTARTED", "STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY", "STEP_SKIPPED"),
    *("LOADED_INPUT", "STEP_INPUT", "STEP_OUTPUT", "HANDLED_OUTPUT"),
}
JOBS = {}
REFUSED = {}


def case(run_config=None, **options):
    def add(body):
        JOBS[body.__name__] = (d.job(**options)(body), run_config)
        return body

    return add


def refused(body):
    REFUSED[body.__name__] = body
    return body


@d.op
def one():
    return 1


@d.op
def add(x, y):
    return x + y


@d.op
def first(xs: list):
    return xs[0] if xs else None


@d.op(out={"yes": d.Out(int, is_required=False), "no": d.Out(int, is_required=False)})
def branch():
    yield d.Output(1, "yes")


@d.op(out=d.DynamicOut(int))
def spread():
    for i in range(3):
        yield d.DynamicOutput(i, mapping_key=f"k{i}")


@d.op(out=d.DynamicOut(int))
def spread_nothing():
    yield from ()


@d.op
def double(x: int) -> int:
    return 2 * x


@d.op
def fails():
    raise ValueError("no")


@d.op
def fails_on_k1(context, x: int):
    if context.get_mapping_key() == "k1":
        raise ValueError("k1")
    return x


@d.op(retry_policy=d.RetryPolicy(max_retries=2))
def flaky(context):
    if context.retry_number < 2:
        raise ValueError("flaky")
    return context.retry_number


@d.op
def asks():
    raise d.RetryRequested(max_retries=1)


@d.op
def gives_up():
    raise d.Failure("no such customer", metadata={"id": 7}, allow_retries=False)


@d.op(ins={"after": d.In(d.Nothing)})
def last() -> None:
    pass


@d.op(config_schema={"n": int, "names": d.Field([str], default_value=["a"])})
def configured(context):
    return context.op_config


@d.op
def text():
    return "s"


@d.op(out={"a": d.Out(), "b": d.Out()})
def forgets():
    yield d.Output(1, "a")


@d.op(out=d.DynamicOut())
def twice():
    yield d.DynamicOutput(1, "a")
    yield d.DynamicOutput(2, "a")


@d.op
def bare():
    yield 5


@d.op
def unknown_output():
    yield d.Output(1, "zz")


@d.graph(out={"left": d.GraphOut(), "right": d.GraphOut()})
def both(x):
    return {"left": add(x, one()), "right": one()}


@case()
def diamond():
    x = one()
    add(double(x), double.alias("other")(x))


@case()
def levels_and_names():
    add.alias("z")(one.alias("c")(), add.alias("y")(one.alias("b")(), one.alias("a")()))


@case()
def skips():
    out = branch()
    double.alias("runs")(out.yes)
    double.alias("after_skip")(double.alias("skipped")(out.no))


@case()
def fan_in_with_what_exists():
    out = branch()
    first([out.yes, out.no])
    first.alias("none")([out.no, double(out.no)])


@case()
def failed_and_skipped():
    add.alias("both")(branch().no, fails())


@case()
def mapped():
    first(spread().map(double).collect())


@case()
def collected_directly():
    first(spread().collect())


@case()
def chain_of_mapped():
    first(spread().map(lambda x: add(double(x), one())).collect())


@case()
def mapped_over_nothing():
    first(spread_nothing().map(double).collect())


@case()
def one_mapped_fails():
    first(spread().map(fails_on_k1).collect())


@case()
def failure():
    double(fails())


@case()
def retries():
    double(flaky())


@case()
def requested_retry():
    asks()


@case()
def intentional_failure():
    gives_up()


@case(op_retry_policy=d.RetryPolicy(max_retries=1))
def policy_of_the_job():
    fails()


@case()
def order_only():
    last(after=[one(), double(one())])


@case({"ops": {"configured": {"config": {"n": 3}}}})
def with_config():
    configured()


@case({"ops": {"double": {"inputs": {"x": 5}}}})
def input_from_config():
    double()


@case()
def nested_graphs():
    made = both.alias("sub")(one.alias("a")())
    add.alias("end")(made.left, made.right)


@case()
def wrong_input():
    double(text())


@d.op
def gives_text() -> int:
    return "s"


@case()
def wrong_output():
    gives_text()


@case()
def output_missing():
    forgets()


@case()
def mapping_key_twice():
    twice()


@case()
def yields_a_value():
    bare()


@case()
def yields_an_unknown_output():
    unknown_output()


@refused
def a_value_in_place_of_an_output():
    d.job(name="j")(lambda: add(1, one()))


@refused
def an_input_that_is_not_there():
    d.job(name="j")(lambda: add(one(), z=one()) and None)


@refused
def too_many_inputs():
    d.job(name="j")(lambda: add(one(), one(), one()))


@refused
def a_dynamic_output_passed_on_directly():
    d.job(name="j")(lambda: add(spread(), one()))


@refused
def an_op_that_was_not_called():
    d.job(name="j")(lambda: add(one, one()))


@refused
def a_job_that_returns_a_value():
    d.job(name="j")(lambda: 5)


@refused
def a_job_that_returns_an_output():
    d.job(name="j")(lambda: one())


@refused
def a_bad_name():
    d.op(name="a b")(lambda: 1)


@refused
def a_reserved_name():
    d.op(name="input")(lambda: 1)


@refused
def an_in_without_parameter():
    @d.op(ins={"q": d.In()})
    def o(x):
        pass


@refused
def backoff_without_delay():
    d.RetryPolicy(jitter=d.Jitter.FULL, backoff=d.Backoff.LINEAR)


@refused
def a_call_without_an_input():
    add(1)


@refused
def a_call_without_context():
    fails_on_k1(1)


def events_of(result):
    for event in result.all_events:
        kind, message = event.event_type_value, event.message
        if kind == "STEP_SKIPPED":
            message = None  # ours says what was missing; there a line of the log does
        if kind in STEP_KINDS:
            yield [kind, event.step_key, re.sub(r" in [\d.]+m?s\.", " in N.", message or "")]


def main():
    jobs = {}
    for name, (job, run_config) in JOBS.items():
        result = job.execute_in_process(run_config=run_config or {}, raise_on_error=False)
        jobs[name] = {"success": result.success, "events": list(events_of(result))}
    errors = {}
    for name, body in REFUSED.items():
        try:
            body()
        except Exception as error:
            errors[name] = [type(error).__name__, str(error)]
    print(json.dumps({"jobs": jobs, "refused": errors}))


if __name__ == "__main__":
    main()
