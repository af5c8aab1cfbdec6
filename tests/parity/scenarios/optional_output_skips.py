"""An output that is not produced skips what needs it, all the way down."""

from dagster import Out, Output, job, op


@op(out={"odd": Out(is_required=False), "even": Out(is_required=False)})
def branch():
    yield Output(3, "odd")


@op
def one_more(x):
    return x + 1


@job
def parity():
    odd, even = branch()
    one_more.alias("last")(one_more.alias("after_even")(even))
    one_more.alias("after_odd")(odd)


def scenario():
    result = parity.execute_in_process()
    return {
        "run": result,
        "skipped": sorted(e.step_key for e in result.get_step_skipped_events()),
        "after odd": result.output_for_node("after_odd"),
    }
