"""A type with a check of its own, with a description, metadata and a resource."""

from dagster import DagsterType, In, Out, TypeCheck, check_dagster_type, job, op, resource


def is_even(context, value):
    if not isinstance(value, int):
        return False
    return TypeCheck(value % 2 == 0, description="must be even", metadata={"rest": value % 2})


Even = DagsterType(name="Even", type_check_fn=is_even, description="an even number")
Below = DagsterType(
    name="Below",
    type_check_fn=lambda context, value: value < context.resources.limit,
    required_resource_keys={"limit"},
)
Broken = DagsterType(name="Broken", type_check_fn=lambda _, value: 1 / 0)
Silent = DagsterType(name="Silent", type_check_fn=lambda _, value: "perhaps")


@op(out=Out(Even))
def even():
    return 4


@op(out=Out(Even))
def odd():
    return 3


@op(ins={"x": In(Below)})
def below(x):
    return x


@op(out=Out(Broken))
def broken():
    return 1


@op(out=Out(Silent))
def silent():
    return 1


@resource
def limit():
    return 10


@job(resource_defs={"limit": limit})
def checked():
    below(even())
    odd()


@job
def not_checked():
    broken()
    silent()


def output_check(result, step):
    found = [e for e in result.all_events if e.step_key == step and e.event_type_value == "STEP_OUTPUT"]
    check = found[0].event_specific_data.type_check_data
    return check.success, check.description, check.metadata["rest"].value


def scenario():
    good = checked.execute_in_process(raise_on_error=False)
    return {
        "run": good,
        "even": output_check(good, "even"),
        "bad": not_checked.execute_in_process(raise_on_error=False),
        "odd raised": lambda: checked.execute_in_process(op_selection=["odd"]),
        "broken raised": lambda: not_checked.execute_in_process(op_selection=["broken"]),
        "silent raised": lambda: not_checked.execute_in_process(op_selection=["silent"]),
        "here": [check_dagster_type(Even, v).success for v in (2, 3, "x")],
        "why": check_dagster_type(Even, 3).description,
        "name": Even.display_name,
        "called": lambda: below("no number"),
    }
