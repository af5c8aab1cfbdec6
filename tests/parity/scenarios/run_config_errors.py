"""Run config that is not right is refused before anything runs."""

from dagster import Field, job, op, resource


@op(config_schema={"n": int, "word": Field(str, is_required=False)})
def configured(context):
    return context.op_config["n"]


@op
def plain():
    return 1


@resource(config_schema={"url": str})
def client(context):
    return context.resource_config["url"]


@op(required_resource_keys={"client"})
def calls(context):
    return context.resources.client


@job(resource_defs={"client": client})
def whole():
    configured()
    plain()
    calls()


RIGHT = {"ops": {"configured": {"config": {"n": 1}}}, "resources": {"client": {"config": {"url": "u"}}}}


def with_part(*path, value):
    config = {k: dict(v) for k, v in RIGHT.items()}
    inner = config
    for key in path[:-1]:
        inner[key] = dict(inner.get(key, {}))
        inner = inner[key]
    inner[path[-1]] = value
    return lambda: whole.execute_in_process(run_config=config).success


def scenario():
    return {
        "right": with_part("ops", "plain", value={}),
        "nothing": lambda: whole.execute_in_process(),
        "unknown root": with_part("opps", value={}),
        "unknown op": with_part("ops", "zz", value={}),
        "unknown key of an op": with_part("ops", "configured", "configs", value={}),
        "unknown field": with_part("ops", "configured", "config", value={"n": 1, "m": 2}),
        "wrong type": with_part("ops", "configured", "config", value={"n": "x"}),
        "missing field": with_part("ops", "configured", "config", value={"word": "x"}),
        "config of an op that takes any": with_part("ops", "plain", "config", value={"any": 1}),
        "no mapping": with_part("ops", value=[1]),
        "unknown resource": with_part("resources", "zz", value={}),
        "wrong resource config": with_part("resources", "client", "config", value={"url": 1}),
        "unknown executor": with_part("execution", value={"config": {"zz": {}}}),
        "unknown key of execution": with_part("execution", value={"zz": {}}),
        "wrong logger": with_part("loggers", value={"zz": {}}),
        "wrong level": with_part("loggers", value={"console": {"config": {"log_level": 3}}}),
    }
