"""Policies of nodes, of graphs and of jobs; a request with a policy; a failure that is not to be tried again."""

from dagster import Failure, RetryPolicy, RetryRequested, graph, job, op

TRIES = {}


def count(name):
    TRIES[name] = TRIES.get(name, 0) + 1


@op
def plain():
    count("plain")
    raise ValueError("plain")


@op(retry_policy=RetryPolicy(max_retries=2))
def with_policy():
    count("with_policy")
    raise ValueError("with policy")


@op(retry_policy=RetryPolicy(max_retries=2))
def asks_besides():
    count("asks")
    raise RetryRequested(max_retries=1)


@op(retry_policy=RetryPolicy(max_retries=2))
def never_again():
    count("never")
    raise Failure("final", allow_retries=False)


@op
def in_a_graph():
    count("graph")
    raise ValueError("in a graph")


@graph
def group():
    in_a_graph()


@job
def of_ops():
    plain()
    with_policy()
    asks_besides()
    never_again()
    plain.with_retry_policy(RetryPolicy(max_retries=1)).alias("of_a_node")()


@job
def of_graphs():
    group.with_retry_policy(RetryPolicy(max_retries=1))()


@job(op_retry_policy=RetryPolicy(max_retries=1))
def of_a_job():
    plain()
    with_policy()


def run(target):
    TRIES.clear()
    result = target.execute_in_process(raise_on_error=False)
    return {"run": result, "tries": dict(sorted(TRIES.items()))}


def scenario():
    return {
        "ops": run(of_ops),
        "graphs": run(of_graphs),
        "job": run(of_a_job),
        "disabled": of_a_job.execute_in_process(
            run_config={"execution": {"config": {"in_process": {"retries": {"disabled": {}}}}}}, raise_on_error=False
        ).success,
        "delay": [RetryPolicy(max_retries=3, delay=2).calculate_delay(1)],
    }
