"""The events of a result: their kinds, predicates, data."""

from dagster import DagsterEventType, RetryPolicy, job, op


@op(retry_policy=RetryPolicy(max_retries=1))
def flaky(context):
    if context.retry_number == 0:
        raise ValueError("once")
    return 1


@op
def takes(x):
    return x + 1


@job
def run_once():
    takes(flaky())


PREDICATES = [
    *("is_step_event", "is_step_start", "is_step_success", "is_step_failure", "is_step_up_for_retry", "is_failure"),
    *("is_step_restarted", "is_successful_output", "is_handled_output", "is_loaded_input", "is_job_success"),
    *("is_job_failure", "is_hook_event", "is_engine_event", "is_step_skipped", "is_resource_init_failure"),
    *("is_step_materialization", "is_asset_observation", "is_expectation_result", "is_run_failure"),
]


def scenario():
    result = run_once.execute_in_process()
    events = [e for e in result.all_events if e.event_type_value not in ("ENGINE_EVENT", "LOGS_CAPTURED")]
    of = {e.event_type: e for e in events}
    output, loaded = of[DagsterEventType.STEP_OUTPUT], of[DagsterEventType.LOADED_INPUT]
    retry = of[DagsterEventType.STEP_UP_FOR_RETRY]
    return {
        "counts": {p: sum(bool(getattr(e, p)) for e in events) for p in PREDICATES},
        "output": [
            output.step_output_data.output_name,
            output.step_output_data.step_output_handle.step_key,
            output.step_output_data.type_check_data.success,
            output.node_name,
            output.job_name,
            str(output.node_handle),
        ],
        "loaded": [
            loaded.event_specific_data.input_name,
            loaded.event_specific_data.manager_key,
            loaded.event_specific_data.upstream_step_key,
        ],
        "retry": [retry.step_retry_data.seconds_to_wait, retry.step_retry_data.error.cls_name],
        "success": of[DagsterEventType.STEP_SUCCESS].step_success_data.duration_ms > 0,
        "names": sorted({e.event_type.name for e in events}),
        "node events": len(result.events_for_node("takes")),
        "restarted": sum(e.event_type is DagsterEventType.STEP_RESTARTED for e in result.events_for_node("flaky")),
        "all of nodes": all(e.is_step_event for e in result.all_node_events),
    }
