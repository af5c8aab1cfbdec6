"""One graph, two jobs: all steps in the run's pod, or each step in a pod of its own."""

from runplane import Definitions, job, k8s_job_executor, multiprocess_executor, op


@op
def generate_numbers():
    return list(range(1, 11))


@op(
    tags={
        "dagster-k8s/config": {
            "container_config": {"resources": {"requests": {"memory": "128Mi"}, "limits": {"memory": "256Mi"}}}
        }
    }
)
def sum_numbers(context, numbers):
    context.log.info("adding %d numbers", len(numbers))
    return sum(numbers)


@op
def check_sum(total):
    assert total == 55


def numbers():
    check_sum(sum_numbers(generate_numbers()))


process_numbers = job(name="process_numbers", executor_def=multiprocess_executor)(numbers)
process_numbers_k8s = job(name="process_numbers_k8s", executor_def=k8s_job_executor)(numbers)

defs = Definitions(jobs=[process_numbers, process_numbers_k8s])
