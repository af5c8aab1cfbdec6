"""A hook uses resources; its log and config; called in a test."""

from dagster import build_hook_context, job, op, resource, success_hook


class Box:
    def __init__(self):
        self.items = []


BOX = Box()


@resource
def box(_):
    return BOX


@success_hook(required_resource_keys={"box"})
def note(context):
    context.log.info("noted")
    context.resources.box.items.append((context.op_config, context.job_name, sorted(context.required_resource_keys)))


@op(config_schema={"n": int})
def configured(context):
    return context.op_config["n"]


@job(resource_defs={"box": box}, hooks={note})
def noted():
    configured()


@job(hooks={note})
def without_box():
    configured()


def called_in_a_test():
    mine = Box()
    with build_hook_context(resources={"box": mine}, op=configured, run_id="r", job_name="j") as context:
        return context.run_id, context.job_name, context.op.name, context.resources.box is mine


def scenario():
    run_config = {"ops": {"configured": {"config": {"n": 3}}}}
    return {
        "run": noted.execute_in_process(run_config=run_config),
        "noted": BOX.items,
        "missing resource": lambda: without_box.execute_in_process(run_config=run_config),
        "in a test": called_in_a_test(),
        "without a step": lambda: build_hook_context().step_key,
    }
