"""Numbers from 1 to 10, split into even and odd ones, summed apart and together.

The job of "Dagster Architecture on Kubernetes": its ops ask for CPU and memory by the tag ``dagster-k8s/config``. On one machine
those tags have no effect; where steps run as Kubernetes Jobs they become the resources of the pods.

Run it::

    runplane job execute -f examples/process_numbers/definitions.py
"""

from runplane import Definitions, OpExecutionContext, job, op

RESOURCES = {
    "container_config": {
        "resources": {
            "requests": {"cpu": "2000m", "memory": "4096Mi"},
            "limits": {"cpu": "2000m", "memory": "4096Mi"},
        }
    }
}
NUMBERS = {"domain": "numbers", "dagster-k8s/config": RESOURCES}


@op(description="Generate a list of numbers from 1 to 10", tags=NUMBERS)
def generate_numbers() -> list[int]:
    return list(range(1, 11))


@op(description="Keep the even numbers", tags=NUMBERS)
def filter_even_numbers(numbers: list[int]) -> list[int]:
    return [number for number in numbers if number % 2 == 0]


@op(description="Keep the odd numbers", tags=NUMBERS)
def filter_odd_numbers(numbers: list[int]) -> list[int]:
    return [number for number in numbers if number % 2 == 1]


@op(description="Sum the even numbers", tags=NUMBERS)
def sum_even_numbers(even_numbers: list[int]) -> int:
    return sum(even_numbers)


@op(description="Sum the odd numbers", tags=NUMBERS)
def sum_odd_numbers(odd_numbers: list[int]) -> int:
    return sum(odd_numbers)


@op(description="Add the two sums", tags=NUMBERS)
def sum_two_sums(context: OpExecutionContext, even_sum: int, odd_sum: int) -> int:
    total = even_sum + odd_sum
    context.log.info(f"{even_sum} (even) + {odd_sum} (odd) = {total}")
    context.add_output_metadata({"even": even_sum, "odd": odd_sum, "total": total})
    return total


@job(description="Sum the even and the odd numbers from 1 to 10", tags={"dagster-k8s/config": RESOURCES})
def process_numbers():
    numbers = generate_numbers()
    even_sum = sum_even_numbers(filter_even_numbers(numbers))
    odd_sum = sum_odd_numbers(filter_odd_numbers(numbers))
    sum_two_sums(even_sum, odd_sum)


defs = Definitions(jobs=[process_numbers])
