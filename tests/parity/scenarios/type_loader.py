"""A loader makes the value of an input of what run config says; classes are made usable as types."""

from dagster import (
    PythonObjectDagsterType,
    dagster_type_loader,
    job,
    make_python_type_usable_as_dagster_type,
    op,
    resource,
    usable_as_dagster_type,
)


@dagster_type_loader(config_schema={"x": int, "y": int}, required_resource_keys={"shift"})
def load_point(context, config):
    shift = context.resources.shift
    return Point(config["x"] + shift, config["y"] + shift)


@usable_as_dagster_type(name="APoint", loader=load_point)
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class Plain:
    pass


make_python_type_usable_as_dagster_type(Plain, PythonObjectDagsterType(Plain, name="PlainThing"))


@op
def total(point: Point) -> int:
    return point.x + point.y


@op
def plain() -> Plain:
    return 1


@resource
def shift():
    return 10


@job(resource_defs={"shift": shift})
def loaded():
    total()


@job
def not_plain():
    plain()


def config(**point):
    return {"ops": {"total": {"inputs": {"point": point}}}}


def scenario():
    result = loaded.execute_in_process(run_config=config(x=1, y=2))
    return {
        "run": result,
        "total": result.output_for_node("total"),
        "bad config": lambda: loaded.execute_in_process(run_config=config(x="a", y=2)),
        "no config": lambda: loaded.execute_in_process(),
        "type": total.input_defs[0].dagster_type.display_name,
        "plain": plain.output_defs[0].dagster_type.display_name,
        "not plain": not_plain.execute_in_process(raise_on_error=False),
    }
