"""Assets that fail: what is downstream, retries, exceptions."""

import dagster as dg


@dg.asset
def fine():
    return 1


@dg.asset(deps=[fine])
def fails():
    raise ValueError("no")


@dg.asset
def below(fails):
    return 1


@dg.asset(deps=[below])
def further() -> None:
    pass


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
def flaky(context):
    if context.retry_number < 1:
        raise ValueError("once")
    return context.retry_number


@dg.asset(output_required=False)
def maybe():
    if False:
        yield dg.Output(1)


@dg.asset
def after_maybe(maybe):
    return 1


def scenario():
    assets = [fine, fails, below, further, flaky, maybe, after_maybe]
    return {
        "run": dg.materialize(assets, raise_on_error=False),
        "raised": lambda: dg.materialize(assets),
        "types": dg.materialize([_typed], raise_on_error=False),
    }


@dg.asset
def _typed() -> int:
    return "no number"
