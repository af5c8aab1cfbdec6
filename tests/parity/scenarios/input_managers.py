"""An input manager loads what no step makes, and in place of the IO manager of what one makes."""

from dagster import In, input_manager, job, op, resource


@input_manager
def fixed():
    return "fixed"


@input_manager(config_schema={"prefix": str}, required_resource_keys={"base"})
def prefixed(context):
    return f"{context.resource_config['prefix']}{context.resources.base}{context.name}"


@op(ins={"x": In(input_manager_key="fixed")})
def loads(x):
    return x


@op(ins={"x": In(input_manager_key="prefixed")})
def loads_too(x):
    return x


@op
def one():
    return 1


@resource
def base():
    return "b-"


@job(resource_defs={"fixed": fixed, "prefixed": prefixed, "base": base})
def connected():
    x = one()
    loads(x)
    loads_too(x)


@job(resource_defs={"fixed": fixed})
def alone():
    loads()


def scenario():
    run_config = {"resources": {"prefixed": {"config": {"prefix": "p-"}}}}
    result = connected.execute_in_process(run_config=run_config)
    return {
        "connected": result,
        "configured value": result.output_for_node("loads_too"),
        "connected value": result.output_for_node("loads"),
        "alone": lambda: alone.execute_in_process().output_for_node("loads"),
    }
