"""IO managers of one's own: what they are told, which of them is used, what they add."""

from dagster import In, IOManager, Out, io_manager, job, mem_io_manager, op

HEARD = []


class Shelf(IOManager):
    def __init__(self, name):
        self.name = name
        self.kept = {}

    def handle_output(self, context, obj):
        HEARD.append(f"{self.name} keeps {context.step_key}.{context.name} of {context.op_def.name}")
        self.kept[(context.step_key, context.name)] = obj
        context.add_output_metadata({"shelf": self.name})

    def load_input(self, context):
        up = context.upstream_output
        HEARD.append(f"{self.name} loads {up.step_key}.{up.name} for {context.name}")
        return self.kept[(up.step_key, up.name)]


@io_manager(config_schema={"name": str})
def configured_shelf(context):
    return Shelf(context.resource_config["name"])


class Constant(IOManager):
    def handle_output(self, context, obj):
        raise AssertionError("only loads")

    def load_input(self, context):
        return [context.metadata["what"], context.upstream_output.metadata.get("made")]


@op(out={"a": Out(), "b": Out(io_manager_key="special", metadata={"made": "by two"})})
def two():
    return 1, 2


@op
def total(a, b):
    return a + b


@op(ins={"b": In(input_manager_key="constant", metadata={"what": "constant"})})
def replaced(b):
    return b


@io_manager
def special(_):
    return Shelf("special")


@io_manager
def constant(_):
    return Constant()


@job(resource_defs={"io_manager": configured_shelf, "special": special, "constant": constant})
def kept():
    a, b = two()
    total(a, b)
    replaced(b)


@job(resource_defs={"io_manager": mem_io_manager, "special": mem_io_manager, "constant": constant})
def in_memory():
    a, b = two()
    total(a, b)


def scenario():
    result = kept.execute_in_process(run_config={"resources": {"io_manager": {"config": {"name": "main"}}}})
    handled = [e for e in result.all_events if e.event_type_value == "HANDLED_OUTPUT" and e.step_key == "two"]
    return {
        "run": result,
        "heard": [h for h in HEARD if "loads" not in h or "for" in h][:8],
        "total": lambda: result.output_for_node("total"),
        "replaced": lambda: result.output_for_node("replaced"),
        "metadata": [e.event_specific_data.metadata["shelf"].value for e in handled],
        "keys": [e.event_specific_data.manager_key for e in handled],
        "memory": in_memory.execute_in_process().output_for_node("total"),
        "no config": lambda: kept.execute_in_process(),
    }
