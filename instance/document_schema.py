"""The shape of dagster.yaml as a whole: its top-level keys, and which of them exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config.schema import Field, FreeMap, OneOrMany, Schema, Selector, Shape, Text
from ..errors import Problems
from .class_schemas import MYSQL, POSTGRES, RUN_QUEUE
from .config import STORAGE_TRIO
from .settings import SECTIONS

CLASS_POINTER = Shape(
    {
        "module": Field(Text(empty=False), required=True),
        "class": Field(Text(empty=False), required=True),
        "config": FreeMap(secret=True),
    }
)
"""`{module, class, config}`. What `config` holds is for the class to say."""
CLASS_KEYS = (
    "local_artifact_storage",
    "compute_logs",
    *STORAGE_TRIO,
    "scheduler",
    "run_coordinator",
    "run_launcher",
    "defs_state_storage",
    "instance_class",
)
KNOWN_KEYS = frozenset({*CLASS_KEYS, *SECTIONS, "storage", "run_queue", "secrets"})
MOST_SLOTS = 1000
MOST_SLOTS_ENV = "DAGSTER_MAX_GLOBAL_OP_CONCURRENCY_LIMIT"
_FIELDS: dict[str, Field | Schema] = {
    **dict.fromkeys(CLASS_KEYS, CLASS_POINTER),
    **SECTIONS,
    "storage": Selector(
        {
            "postgres": POSTGRES,
            "mysql": MYSQL,
            "sqlite": Shape({"base_dir": Field(Text(empty=False), required=True)}),
            "custom": CLASS_POINTER,
        }
    ),
    "run_queue": RUN_QUEUE,
    "secrets": OneOrMany(Text(choices=("warn", "refuse")), Selector({"custom": CLASS_POINTER})),
}
_IN_SECTIONS = {
    key: section for section, schema in SECTIONS.items() if isinstance(schema, Shape) for key in schema.fields
}
_AMBIGUOUS = {"enabled", "use_threads", "num_workers", "num_submit_workers", "max_tick_retries", "schedule", "sensor"}


def document_schema(further: Mapping[str, Field | Schema]) -> Shape:
    """The schema of a whole document. `further`: top-level keys that an `instance_class` adds."""
    misplaced = {
        **{key: section for key, section in _IN_SECTIONS.items() if key not in _AMBIGUOUS},
        **dict.fromkeys(RUN_QUEUE.fields, "run_queue"),
        "postgres": "storage",
        "sqlite": "storage",
        "mysql": "storage",
        "postgres_db": "storage.postgres",
        "postgres_url": "storage.postgres",
    }
    fields = {**_FIELDS, **further}
    return Shape(fields, misplaced={key: place for key, place in misplaced.items() if key not in fields})


def check_conflicts(document: Mapping[str, Any], most_slots: int, problems: Problems) -> None:
    """Record the keys that may not stand together. The document may hold anything: other problems are found elsewhere."""
    if "run_queue" in document and "run_coordinator" in document:
        problems.at("run_queue").add("may not stand beside run_coordinator", expected="one of the two")
    trio = [key for key in STORAGE_TRIO if key in document]
    if "storage" in document and trio:
        problems.at("storage").add(f"may not stand beside {', '.join(trio)}", expected="one form of storage")
    elif trio and len(trio) < len(STORAGE_TRIO):
        missing = [key for key in STORAGE_TRIO if key not in document]
        problems.at(trio[0]).add(
            f"{', '.join(missing)} would be kept in another database",
            got=", ".join(trio),
            expected="all three, or `storage` for one database",
        )
    _check_concurrency(document, most_slots, problems)


def _check_concurrency(document: Mapping[str, Any], most_slots: int, problems: Problems) -> None:
    concurrency = document.get("concurrency")
    if not isinstance(concurrency, Mapping):
        return
    here = problems.at("concurrency")
    if "pools" in concurrency and "default_op_concurrency_limit" in concurrency:
        here.at("default_op_concurrency_limit").add(
            "may not stand beside concurrency.pools", expected="concurrency.pools.default_limit"
        )
    for path in (("pools", "default_limit"), ("default_op_concurrency_limit",)):
        limit = _at(concurrency, *path)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit > most_slots:
            spot = here
            for key in path:
                spot = spot.at(key)
            spot.add("out of bounds", got=str(limit), expected=f"0 to {most_slots} ({MOST_SLOTS_ENV})")
    for ours, queues, prefix, queue in _both_ways(document):
        if _at(concurrency, *ours) is not None and _at(queue, *queues) is not None:
            spot = problems.at(prefix)
            for key in queues:
                spot = spot.at(key)
            spot.add(f"is also given as concurrency.{'.'.join(ours)}", expected="one of the two")


def _both_ways(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], str, Any]]:
    """Settings of the queue that `concurrency` can hold as well: path there, path in the queue, the queue's key and value."""
    queues = [("run_queue", document.get("run_queue"))]
    if _at(document, "run_coordinator", "class") == "QueuedRunCoordinator":
        queues.append(("run_coordinator.config", _at(document, "run_coordinator", "config")))
    for prefix, queue in queues:
        yield ("runs", "max_concurrent_runs"), ("max_concurrent_runs",), prefix, queue
        yield ("runs", "tag_concurrency_limits"), ("tag_concurrency_limits",), prefix, queue
        buffer = ("block_op_concurrency_limited_runs", "op_concurrency_slot_buffer")
        yield ("pools", "op_granularity_run_buffer"), buffer, prefix, queue


def _at(value: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
