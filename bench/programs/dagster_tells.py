"""What a run's log says: when it was created, when it ended, and its events with their times."""

import json
import sys

from dagster import DagsterInstance

with DagsterInstance.get() as instance:
    record = instance.get_run_record_by_id(sys.argv[1])
    told = [entry for entry in instance.all_logs(sys.argv[1]) if entry.is_dagster_event]
    events = [[e.dagster_event.event_type_value, e.dagster_event.step_key, e.timestamp] for e in told]
    data = [e.dagster_event.event_specific_data for e in told]
    why = [str(one.error.message) for one in data if getattr(one, "error", None)]
    created = record.create_timestamp.timestamp()
    print(
        json.dumps(
            {
                "status": record.dagster_run.status.value,
                "created": created,
                "ended": record.end_time,
                "events": events,
                "why": why,
            }
        )
    )
