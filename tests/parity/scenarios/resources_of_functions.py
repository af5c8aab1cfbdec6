"""Resource functions: those that yield are closed, in reverse order of need; a failure of one fails the run before any step."""

from dagster import Field, ResourceDefinition, job, op, resource

HEARD = []


@resource(config_schema={"n": Field(int, default_value=1)})
def number(context):
    HEARD.append("open number")
    yield context.resource_config["n"]
    HEARD.append("close number")


@resource(required_resource_keys={"number"})
def double(context):
    HEARD.append("open double")
    yield 2 * context.resources.number
    HEARD.append("close double")


@resource
def broken():
    raise ValueError("not to be made")


@op(required_resource_keys={"double"})
def uses(context):
    return context.resources.double


@op(required_resource_keys={"broken"})
def never(context):
    raise AssertionError("not reached")


@op(required_resource_keys={"double"})
def wrong_key(context):
    return context.resources.number


@job(resource_defs={"number": number, "double": double})
def used():
    uses()


@job(resource_defs={"number": number, "double": double})
def asks_for_more():
    wrong_key()


@job(resource_defs={"broken": broken, "number": number, "double": double})
def broken_run():
    never()
    uses()


@job(resource_defs={"double": ResourceDefinition.hardcoded_resource(21), "number": number.configured({"n": 5})})
def hardcoded():
    uses()


def scenario():
    result = used.execute_in_process()
    heard, HEARD[:] = list(HEARD), []
    configured = used.execute_in_process(run_config={"resources": {"number": {"config": {"n": 4}}}})
    return {
        "run": result,
        "heard": heard,
        "value": result.output_for_node("uses"),
        "configured": configured.output_for_node("uses"),
        "hardcoded": hardcoded.execute_in_process().output_for_node("uses"),
        "given": used.execute_in_process(resources={"double": 7}).output_for_node("uses"),
        "unknown key": asks_for_more.execute_in_process(raise_on_error=False),
        "unknown key raised": lambda: asks_for_more.execute_in_process(),
        "broken": broken_run.execute_in_process(raise_on_error=False).success,
        "broken raised": lambda: broken_run.execute_in_process(),
    }
