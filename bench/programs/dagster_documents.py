"""As ``runplane_documents.py``, by Dagster."""

import base64
import json
import zlib

import jobs
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry, reconstructable
from dagster._core.events import StepSuccessData
from dagster._core.execution.plan.outputs import StepOutputHandle
from dagster._core.execution.plan.state import KnownExecutionState
from dagster._core.execution.retries import RetryMode
from dagster._grpc.types import ExecuteRunArgs, ExecuteStepArgs
from dagster._serdes import deserialize_value, serialize_value
from stopwatch import us_of

RUN_ID = "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"
MESSAGE = 'Finished execution of step "op_0" in 10ms.'
success = DagsterEvent(
    DagsterEventType.STEP_SUCCESS.value,
    "wide",
    step_key="op_0",
    event_specific_data=StepSuccessData(10.5),
    message=MESSAGE,
)
entry = EventLogEntry(
    error_info=None, level=10, user_message=MESSAGE, run_id=RUN_ID, timestamp=1767225600.25, step_key="op_0",
    job_name="wide", dagster_event=success,
)  # fmt: skip
stored = serialize_value(entry)


def compressed(text):
    return base64.b64encode(zlib.compress(text.encode()))


origin = reconstructable(jobs.wide).get_python_origin()
with DagsterInstance.get() as instance:
    ref = instance.get_ref()

args = ExecuteRunArgs(origin, RUN_ID, ref)
half_done = KnownExecutionState(ready_outputs={StepOutputHandle(f"op_{i}") for i in range(500)})
steps = [
    serialize_value(ExecuteStepArgs(origin, RUN_ID, ["op_0"], ref, retry_mode=RetryMode.DEFERRED, known_state=known))
    for known in (KnownExecutionState(), half_done)
]
text = serialize_value(args)
tree = json.loads(text)
figures = {
    "run_args_write_us": us_of(lambda: serialize_value(args)),
    "run_args_read_us": us_of(lambda: deserialize_value(text, ExecuteRunArgs)),
    "event_write_us": us_of(lambda: serialize_value(entry)),
    "event_read_us": us_of(lambda: deserialize_value(stored, EventLogEntry)),
    "json_write_us": us_of(lambda: json.dumps(tree)),
    "json_read_us": us_of(lambda: json.loads(text)),
    "run_args_bytes": len(text),
    "run_args_compressed_bytes": len(compressed(text)),
    "run_args_bare_bytes": len(serialize_value(ExecuteRunArgs(origin, RUN_ID, None))),
    "step_args_bytes": len(steps[0]),
    "step_args_compressed_bytes": len(compressed(steps[0])),
    "step_args_large_bytes": len(steps[1]),
}
figures["entry_write_us"], figures["entry_read_us"] = figures["event_write_us"], figures["event_read_us"]
print(json.dumps(figures))
