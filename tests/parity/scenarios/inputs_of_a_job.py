"""Inputs that nothing is connected to: from run config, from Python, from defaults."""

from dagster import job, op


@op
def shows(number: int, word: str = "default"):
    return f"{number} {word}"


@op
def anything(x):
    return x


@job
def of_ops():
    shows()


@job
def with_input(number):
    shows(number)


@job
def plain(x):
    anything(x)


def value(target, node, **options):
    return lambda: target.execute_in_process(**options).output_for_node(node)


def op_inputs(**inputs):
    return {"run_config": {"ops": {"shows": {"inputs": inputs}}}}


def scenario():
    return {
        "value": value(of_ops, "shows", **op_inputs(number={"value": 3})),
        "plain value": value(of_ops, "shows", **op_inputs(number=4, word="w")),
        "wrong": value(of_ops, "shows", **op_inputs(number="x")),
        "missing": value(of_ops, "shows"),
        "job input": value(with_input, "shows", run_config={"inputs": {"number": {"value": 5}}}),
        "job input, python": value(with_input, "shows", input_values={"number": 6}),
        "job input, wrong python": value(with_input, "shows", input_values={"number": "x"}),
        "job input, missing": value(with_input, "shows"),
        "an object": value(plain, "anything", input_values={"x": [1, {"a": 2}]}),
        "unknown": value(with_input, "shows", input_values={"number": 6, "zz": 1}),
    }
