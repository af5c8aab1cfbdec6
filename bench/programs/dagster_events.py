"""As ``runplane_events.py``, by Dagster, which writes one event at a time."""

import json
import time

import jobs
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.events import EngineEventData

FEW = 500


def entry(run_id: str, i: int) -> EventLogEntry:
    text = f'Started execution of step "op_{i}".'
    event = DagsterEvent(
        DagsterEventType.ENGINE_EVENT.value, "wide", event_specific_data=EngineEventData({"pid": "123"}), message=text
    )
    return EventLogEntry(
        error_info=None, level=10, user_message=text, run_id=run_id, timestamp=time.time(), step_key=f"op_{i}",
        job_name="wide", dagster_event=event,
    )  # fmt: skip


with DagsterInstance.get() as instance:
    run_id = instance.create_run_for_job(jobs.wide()).run_id
    instance.store_event(entry(run_id, 0))
    began = time.perf_counter()
    for i in range(FEW):
        instance.store_event(entry(run_id, i))
    written = FEW / (time.perf_counter() - began)
    instance.all_logs(run_id)
    began = time.perf_counter()
    found = len(instance.all_logs(run_id))
    read = found / (time.perf_counter() - began)
assert found >= FEW
print(json.dumps({"written_batched": written, "written_singly": written, "read": read}))
