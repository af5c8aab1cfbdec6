"""An IO manager that can not keep, one that can not load: the step fails."""

from dagster import IOManager, IOManagerDefinition, RetryPolicy, job, op


class CanNotKeep(IOManager):
    def handle_output(self, context, obj):
        raise OSError("disk full")

    def load_input(self, context):
        raise AssertionError("not reached")


class CanNotLoad(IOManager):
    def handle_output(self, context, obj):
        pass

    def load_input(self, context):
        raise KeyError("gone")


class Flaky(IOManager):
    tries = 0

    def handle_output(self, context, obj):
        Flaky.tries += 1
        if Flaky.tries == 1:
            raise OSError("once")

    def load_input(self, context):
        return Flaky.tries


@op
def one():
    return 1


@op
def next_one(x):
    return x


def job_with(manager, policy=None):
    @job(
        resource_defs={"io_manager": IOManagerDefinition.hardcoded_io_manager(manager)},
        op_retry_policy=policy,
    )
    def kept():
        next_one(one())

    return kept


def scenario():
    return {
        "keep": job_with(CanNotKeep()).execute_in_process(raise_on_error=False),
        "keep raised": lambda: job_with(CanNotKeep()).execute_in_process(),
        "load": job_with(CanNotLoad()).execute_in_process(raise_on_error=False),
        "load raised": lambda: job_with(CanNotLoad()).execute_in_process(),
        "again": job_with(Flaky(), RetryPolicy(max_retries=1)).execute_in_process(),
        "no manager": lambda: job_with("nothing").execute_in_process(),
    }
