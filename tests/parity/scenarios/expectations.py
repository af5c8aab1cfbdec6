"""What an op says of its data when it tested it: it decides nothing."""

from dagster import DagsterEventType, ExpectationResult, MetadataValue, Output, build_op_context, job, op


@op
def tests_its_data(context):
    context.log_event(ExpectationResult(True))
    yield ExpectationResult(False, label="positive", description="two are negative", metadata={"bad": 2})
    yield ExpectationResult(success=False, label="whole", metadata={"why": MetadataValue.md("# T")})
    yield Output(1)


@op
def returns_one():
    return ExpectationResult(True)


@job
def tested():
    tests_its_data()


@job
def returned():
    returns_one()


def scenario():
    result = tested.execute_in_process()
    found = result.expectation_results_for_node("tests_its_data")
    events = [e for e in result.all_events if e.event_type is DagsterEventType.STEP_EXPECTATION_RESULT]
    data = events[1].step_expectation_result_data.expectation_result
    return {
        "run": result,
        "found": [(e.success, e.label, e.description) for e in found],
        "metadata": [(label, type(v).__name__, v.value) for e in found for label, v in e.metadata.items()],
        "messages": [e.message for e in events],
        "data": [data.success, data.label, data.description, data.metadata["bad"].value],
        "predicate": [e.is_expectation_result for e in events],
        "default": [ExpectationResult(True).label, ExpectationResult(True).description],
        "called": [type(x).__name__ for x in tests_its_data(build_op_context())],
        "returned": lambda: returned.execute_in_process(raise_on_error=False),
        "no boolean": lambda: ExpectationResult("yes") and None,
    }
