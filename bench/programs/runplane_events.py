"""``python runplane_events.py``: rates at which events of one run are written and read."""

import json
import time

from runplane.events.event import NewEvent
from runplane.instance.instance import Instance, RunRequest

MANY, BATCH, FEW = 20_000, 250, 1_000


def event(i: int) -> NewEvent:
    body = {"message": f'Started execution of step "op_{i}".', "metadata": {"pid": "123"}}
    return NewEvent("ENGINE_EVENT", f"op_{i}", None, body, time.time())


with Instance.get() as instance:
    run = instance.create(RunRequest("job")).run_id
    journal = instance.journal
    journal.annotate(run, [event(0)])
    events = [event(i) for i in range(MANY)]
    began = time.perf_counter()
    for start in range(0, MANY, BATCH):
        journal.annotate(run, events[start : start + BATCH])
    batched = MANY / (time.perf_counter() - began)
    began = time.perf_counter()
    for i in range(FEW):
        journal.annotate(run, [event(i)])
    singly = FEW / (time.perf_counter() - began)
    began = time.perf_counter()
    read = 0
    while page := instance.tail(run, read, 5_000):
        read += len(page)
    assert read == 1 + MANY + FEW
    print(
        json.dumps({"written_batched": batched, "written_singly": singly, "read": read / (time.perf_counter() - began)})
    )
