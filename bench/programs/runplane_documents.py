"""``python runplane_documents.py``: time and size of documents."""

import json

import jobs
from stopwatch import us_of

from runplane import reconstructable
from runplane.events.dagster_view import entries_of, event_from_entry
from runplane.events.event import Event
from runplane.events.requests import ExecuteRunArgs, ExecuteStepArgs, IssuedAttempt, RetryMode
from runplane.events.wire import read_run_args, to_compressed, to_text
from runplane.instance.instance import Instance

RUN_ID = "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"
MESSAGE = 'Finished execution of step "op_0" in 10ms.'
event = Event(
    RUN_ID, 1, "STEP_SUCCESS", "op_0", 1, {"message": MESSAGE, "duration_ms": 10.5}, 1767225600.25, 1767225600.5
)
encode = json.JSONEncoder(separators=(",", ":")).encode
body = encode(event.body)
(entry,) = entries_of(event, "wide")


def row_of_event():
    """As ``storage`` sends an event to the database."""
    return json.dumps([event.kind, 1, event.step, event.n, event.written_at, encode(event.body)])


origin = reconstructable(jobs.wide).get_python_origin()
with Instance.get() as instance:
    args = ExecuteRunArgs(instance.ref, origin, RUN_ID)
    step = ExecuteStepArgs(
        instance.ref, origin, RUN_ID, ("op_0",), None, False, RetryMode.DEFERRED, issued=IssuedAttempt(1, 1)
    )
    text = to_text(args)
    tree = json.loads(text)
    figures = {
        "run_args_write_us": us_of(lambda: to_text(args)),
        "run_args_read_us": us_of(lambda: read_run_args(text)),
        "event_write_us": us_of(row_of_event),
        "event_read_us": us_of(
            lambda: Event(RUN_ID, 1, "STEP_SUCCESS", "op_0", 1, json.loads(body), 1767225600.25, 1767225600.5, 1)
        ),
        "entry_write_us": us_of(lambda: entries_of(event, "wide")),
        "entry_read_us": us_of(lambda: event_from_entry(entry)),
        "json_write_us": us_of(lambda: json.dumps(tree)),
        "json_read_us": us_of(lambda: json.loads(text)),
        "run_args_bytes": len(text),
        "run_args_compressed_bytes": len(to_compressed(args)),
        "run_args_bare_bytes": len(to_text(ExecuteRunArgs(None, origin, RUN_ID))),
        "step_args_bytes": len(to_text(step)),
        "step_args_compressed_bytes": len(to_compressed(step)),
        "step_args_large_bytes": len(to_text(step)),  # it names the step; what the run has done is read by run id
    }
print(json.dumps(figures))
