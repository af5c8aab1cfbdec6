"""Events and runs in Dagster's form, both ways, beside what a real Dagster stored."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import DocumentError
from runplane.events.causes import FailureCause, RunFailureReason
from runplane.events.dagster_run import run_from_dagster, run_to_dagster
from runplane.events.dagster_view import KEPT, entries_of, event_from_entry, events_from_entries
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.messages import duration
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.events.run import Run
from runplane.events.status import RunStatus
from scale import scaled

RECORDED = Path(__file__).parents[2] / "fixtures" / "dagster"
ENTRIES = (RECORDED / "events.jsonl").read_text().splitlines()
RETRIED = (RECORDED / "retried_step.jsonl").read_text().splitlines()
RUNS = (RECORDED / "runs.jsonl").read_text().splitlines()
RUN_ID = "5f1d3c1e-0000-4000-8000-000000000001"


def event(kind: EventKind | str, step: str | None = None, n: int | None = None, **body: Any) -> Event:
    return Event(RUN_ID, 7, str(kind), step, n, body, 1700000000.25, 1700000001.0)


def entries(e: Event) -> list[dict[str, Any]]:
    texts = entries_of(e, "j")
    for text in texts:
        assert text == json.dumps(json.loads(text), sort_keys=True)
    return [json.loads(text) for text in texts]


def entry(e: Event) -> dict[str, Any]:
    (only,) = entries(e)
    return only


# ----------------------------------------------------------------------------------------------------- what Dagster wrote


@pytest.mark.parametrize("text", [*ENTRIES, *RETRIED], ids=lambda t: json.loads(t)["user_message"][:30])
def test_an_entry_is_read_and_written_back_exactly(text: str) -> None:
    e = event_from_entry(text, seq=3)
    assert (e.seq, e.run_id) == (3, json.loads(text)["run_id"])
    assert entries_of(e, json.loads(text)["pipeline_name"]) == [text]


def test_our_form_says_what_dagsters_does_with_nothing_left_over() -> None:
    left = {e.kind for e in map(event_from_entry, ENTRIES) if KEPT in e.body}
    assert left == {"HOOK_ERRORED"}  # names the hook's function in its text


def test_recorded_kinds_are_ours() -> None:
    kinds = {event_from_entry(text).kind for text in ENTRIES}
    assert kinds <= {k.value for k in EventKind}
    assert {
        "RUN_START",
        "RUN_SUCCESS",
        "RUN_FAILURE",
        "STEP_OUTPUT",
        "STEP_SKIPPED",
        "LOG",
        "ASSET_CHECK_EVALUATION",
    } <= kinds


def test_a_retried_step_has_attempts() -> None:
    events = events_from_entries(RETRIED)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert {e.kind: e.n for e in events if e.kind in ("STEP_START", "STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_SUCCESS")} == {
        "STEP_START": 1, "STEP_UP_FOR_RETRY": 1, "STEP_RESTARTED": 2, "STEP_SUCCESS": 2,
    }  # fmt: skip
    assert [entries_of(e, "allj")[-1] for e in events] == RETRIED
    assert not any(KEPT in e.body for e in events)


def test_metadata_is_plain_where_it_can_be() -> None:
    (rich,) = [e for e in map(event_from_entry, ENTRIES) if "md" in e.body.get("metadata", {})]
    metadata = rich.body["metadata"]
    assert (metadata["t"], metadata["i"], metadata["f"], metadata["b"], metadata["j"], metadata["null"]) == (
        "text",
        1,
        2.5,
        True,
        {"a": [1]},
        None,
    )
    assert metadata["md"] == {"__class__": "MarkdownMetadataEntryData", "md_str": "# x"}
    assert metadata["job"]["__class__"] == "DagsterJobMetadataValue"
    assert metadata["nan"] != metadata["nan"]


def test_data_of_an_unknown_class_is_kept() -> None:
    tree = json.loads(next(t for t in ENTRIES if '"STEP_OUTPUT"' in t))
    for data in (
        {"__class__": "StepOutputData2", "a": 1},
        {"__class__": "StepOutputData", "step_output_handle": 3},
        None,
        [1],
    ):
        tree["dagster_event"]["event_specific_data"] = data
        text = json.dumps(tree, sort_keys=True)
        e = event_from_entry(text)
        assert e.kind == "STEP_OUTPUT"
        assert entries_of(e, tree["pipeline_name"]) == [text]


@pytest.mark.parametrize(
    "stored", ["ALERT_START", "RUN_RESUMED", "STEP_ISSUED", "STEP_ABANDONED", "LOG", "RUN_START", "PIPELINE_DEQUEUED"]
)
def test_an_event_type_that_is_not_ours_is_kept_and_moves_nothing(stored: str) -> None:
    tree = json.loads(ENTRIES[0])
    tree["dagster_event"]["event_type_value"] = stored
    tree["dagster_event"]["event_specific_data"] = {"__class__": "Alert", "x": [1]}
    text = json.dumps(tree, sort_keys=True)
    e = event_from_entry(text)
    assert e.kind not in ("RUN_RESUMED", "STEP_ISSUED", "STEP_ABANDONED", "LOG")
    assert entries_of(e, tree["pipeline_name"]) == [text]


def test_fields_of_a_newer_dagster_are_kept() -> None:
    tree = json.loads(ENTRIES[0])
    tree["tenant"] = {"a": 1}
    tree["dagster_event"]["span"] = "x"
    text = json.dumps(tree, sort_keys=True)
    assert entries_of(event_from_entry(text), tree["pipeline_name"]) == [text]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"__class__": "EventRecord"}, "not an event .got EventRecord"),
        ({"run_id": None}, "run_id: not the right type"),
        ({"timestamp": "x"}, "timestamp"),
        ({"level": True}, "level"),
        ({"step_key": 1}, "step_key"),
        ({"dagster_event": []}, "dagster_event"),
        ({"dagster_event": {"__class__": "DagsterEvent"}}, "event_type_value"),
    ],
)
def test_what_is_not_an_entry(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        event_from_entry(json.dumps(json.loads(ENTRIES[0]) | change))


def test_a_mutilated_entry_gives_one_typed_error_or_is_kept() -> None:
    rng = random.Random(3)

    def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        return [at, *(path for key, item in inner for path in paths(item, (*at, key)))]

    for text in ENTRIES:
        for path in rng.choices(paths(json.loads(text))[1:], k=scaled(5, long=50)):
            for wrong in (None, 3, "x", [1], {"__class__": "X"}, float("nan")):
                tree = json.loads(text)
                parent = tree
                for key in path[:-1]:
                    parent = parent[key]
                parent[path[-1]] = wrong
                changed = json.dumps(tree, sort_keys=True)
                try:
                    e = event_from_entry(changed)
                except DocumentError:
                    continue
                assert [json.dumps(json.loads(changed), sort_keys=True)] == entries_of(e, tree["pipeline_name"] or "")


@given(st.text() | st.binary())
def test_any_text_gives_one_typed_error(text: str | bytes) -> None:
    with pytest.raises(DocumentError):
        event_from_entry(text)
    with pytest.raises(DocumentError):
        run_from_dagster(text)


# ------------------------------------------------------------------------------------------------------------ what is ours


@pytest.mark.parametrize("kind", [EventKind.STEP_ISSUED, EventKind.STEP_SEALED, EventKind.RUN_RESUMED])
def test_internal_kinds_are_hidden(kind: EventKind) -> None:
    assert entries(event(kind, "a", 1)) == []


def test_a_claim_in_the_coordinators_own_process_is_hidden() -> None:
    assert entries(event(EventKind.STEP_WORKER_STARTED, "a", 1)) == []
    told = next(t for t in ENTRIES if '"STEP_WORKER_STARTED"' in t)
    tree = json.loads(told)
    tree["dagster_event"] |= {"pid": None, "message": 'Step worker started for "a".'}
    tree["dagster_event"]["event_specific_data"]["metadata_entries"] = []
    tree["user_message"] = tree["dagster_event"]["message"]
    text = json.dumps(tree, sort_keys=True)
    assert entries_of(event_from_entry(text), "allj") == [text]


def test_a_users_mapping_is_json_whatever_its_keys() -> None:
    shown = entry(event(EventKind.STEP_OUTPUT, "a", 1, output="x", metadata={"m": {"__class__": "Mine", "a": 1}}))
    (only,) = shown["dagster_event"]["event_specific_data"]["metadata_entries"]
    assert only["entry_data"] == {"__class__": "JsonMetadataEntryData", "data": {"__class__": "Mine", "a": 1}}


def test_an_abandoned_step_is_an_error_line() -> None:
    shown = entry(event(EventKind.STEP_ABANDONED, "after", because=["boom"]))
    assert shown["dagster_event"] is None
    assert (shown["level"], shown["step_key"]) == (40, "after")
    assert shown["user_message"] == "Dependencies for step after failed: ['boom']. Not executing."
    assert entries(event(EventKind.STEP_ABANDONED, "after", because=["intent"])) == []


def test_a_skip_is_a_line_and_an_event() -> None:
    line, shown = entries(event(EventKind.STEP_SKIPPED, "after", because=["opt.result"]))
    assert (line["dagster_event"], line["level"]) == (None, 20)
    assert line["user_message"] == "Skipping step after due to skipped dependencies: ['opt.result']."
    assert shown["dagster_event"]["event_type_value"] == "STEP_SKIPPED"


ERROR = {"message": "ValueError: x\n", "stack": ["  line\n"], "cls_name": "ValueError", "cause": None, "context": None}


@pytest.mark.parametrize(
    ("e", "stored", "text", "level"),
    [
        (event(EventKind.RUN_START), "PIPELINE_START", 'Started execution of run for "j".', 10),
        (event(EventKind.RUN_SUCCESS), "PIPELINE_SUCCESS", 'Finished execution of run for "j".', 10),
        (event(EventKind.RUN_CANCELED), "PIPELINE_CANCELED", 'Execution of run for "j" canceled.', 40),
        (event(EventKind.RUN_FAILURE, reason="STEP_FAILURE", failed=["boom"]), "PIPELINE_FAILURE", "Execution of run for \"j\" failed. Steps failed: ['boom'].", 40),
        (event(EventKind.STEP_WORKER_STARTED, "a", 1, pid=5), "STEP_WORKER_STARTED", 'Step worker started for "a".', 10),
        (event(EventKind.STEP_START, "a", 1), "STEP_START", 'Started execution of step "a".', 10),
        (event(EventKind.STEP_RESTARTED, "a", 2), "STEP_RESTARTED", 'Started re-execution (attempt # 2) of step "a".', 10),
        (event(EventKind.STEP_SUCCESS, "a", 1, duration_ms=1270.2), "STEP_SUCCESS", 'Finished execution of step "a" in 1.27s.', 10),
        (event(EventKind.STEP_FAILURE, "a", 1, error=ERROR, cause="USER_CODE"), "STEP_FAILURE", 'Execution of step "a" failed.', 40),
        (event(EventKind.STEP_UP_FOR_RETRY, "a", 1, seconds_to_wait=0.5), "STEP_UP_FOR_RETRY", 'Execution of step "a" failed and has requested a retry in 0.5 seconds.', 10),
        (event(EventKind.STEP_OUTPUT, "a", 1, output="result"), "STEP_OUTPUT", 'Yielded output "result" of type "Any". (Type check passed).', 10),
        (event(EventKind.HANDLED_OUTPUT, "a", 1, output="result"), "HANDLED_OUTPUT", 'Handled output "result" using IO manager "io_manager"', 10),
        (event(EventKind.LOADED_INPUT, "b", 1, input="x", upstream_output="result", upstream_step="a"), "LOADED_INPUT", 'Loaded input "x" using input manager "io_manager", from output "result" of step "a"', 10),
        (event(EventKind.ENGINE_EVENT, message="m"), "ENGINE_EVENT", "m", 10),
        (event(EventKind.ENGINE_EVENT, message="m", error=ERROR), "ENGINE_EVENT", "m", 40),
    ],
)  # fmt: skip
def test_texts_and_levels(e: Event, stored: str, text: str, level: int) -> None:
    shown = entry(e)
    nested = shown["dagster_event"]
    assert (nested["event_type_value"], nested["message"], shown["user_message"], shown["message"]) == (
        stored,
        text,
        text,
        "",
    )
    assert (shown["level"], shown["timestamp"], shown["pipeline_name"]) == (level, 1700000000.25, "j")


@pytest.mark.parametrize("kind", [EventKind.RUN_CANCELING, EventKind.RUN_STARTING, EventKind.RUN_ENQUEUED])
def test_what_is_reported_through_the_instance_has_no_user_message(kind: EventKind) -> None:
    shown = entry(event(kind))
    assert (shown["user_message"], shown["level"]) == ("", 20)
    told = entry(event(EventKind.ENGINE_EVENT, message="[L] made", reported=True))
    assert (told["user_message"], told["dagster_event"]["message"], told["level"]) == ("", "[L] made", 20)


def test_a_log_line() -> None:
    shown = entry(event(EventKind.LOG, "a", 1, message="hello", level=30, logger="x"))
    assert (shown["dagster_event"], shown["level"], shown["user_message"], shown["step_key"]) == (
        None,
        30,
        "hello",
        "a",
    )


def test_handles_of_nested_and_mapped_steps() -> None:
    nested = entry(event(EventKind.STEP_START, "sub.a[k]", 1))["dagster_event"]
    node = {
        "__class__": "SolidHandle",
        "name": "a",
        "parent": {"__class__": "SolidHandle", "name": "sub", "parent": None},
    }
    assert nested["solid_handle"] == node
    assert nested["step_handle"] == {
        "__class__": "ResolvedFromDynamicStepHandle",
        "key": "sub.a[k]",
        "mapping_key": "k",
        "solid_handle": node,
    }
    assert nested["logging_tags"]["op_name"] == "a"
    template = entry(event(EventKind.STEP_SKIPPED, "work[?]"))["dagster_event"]
    assert template["step_handle"]["__class__"] == "StepHandle"


@pytest.mark.parametrize("cause", list(FailureCause))
def test_every_cause_has_a_source(cause: FailureCause) -> None:
    data = entry(event(EventKind.STEP_FAILURE, "a", 1, cause=cause.value))["dagster_event"]["event_specific_data"]
    assert data["error_source"]["__enum__"] in {
        "ErrorSource.USER_CODE_ERROR",
        "ErrorSource.FRAMEWORK_ERROR",
        "ErrorSource.INTERRUPT",
    }


@pytest.mark.parametrize("reason", list(RunFailureReason))
def test_a_reason_that_dagster_does_not_have_is_unknown_there(reason: RunFailureReason) -> None:
    data = entry(event(EventKind.RUN_FAILURE, reason=reason.value))["dagster_event"]["event_specific_data"]
    expected = "UNKNOWN" if reason is RunFailureReason.VERSION_SKEW else reason.value
    assert data["failure_reason"] == {"__enum__": f"RunFailureReason.{expected}"}


def test_an_event_without_what_its_form_needs_is_an_error() -> None:
    with pytest.raises(DocumentError, match=r"run 5f1d.*, event 7: the STEP_OUTPUT event has no form"):
        entries_of(event(EventKind.STEP_OUTPUT, "a", 1), "j")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.4, "0.4ms"),
        (3.214, "3.21ms"),
        (32.9, "32ms"),
        (1000, "1.0s"),
        (1270.2, "1.27s"),
        (61_200, "1m1s"),
        (7_380_000, "2h3m"),
    ],
)
def test_durations(ms: float, text: str) -> None:
    assert duration(ms) == text


# ------------------------------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("text", RUNS)
def test_a_run_is_read_and_written_back_exactly(text: str) -> None:
    found = run_from_dagster(text)
    assert run_to_dagster(found.run, found.extra) == text
    assert set(found.extra) == {"execution_plan_snapshot_id", "pipeline_snapshot_id"}
    assert found.run.status is RunStatus.FAILURE or found.run.status is RunStatus.SUCCESS


def test_a_run_of_ours() -> None:
    origin = JobOrigin("j", RepositoryOrigin("/p", ModuleCodePointer("m", "f")))
    run = Run(
        RUN_ID, "j", origin, {"ops": {}}, {"a": "1"}, RunStatus.CANCELING, ("a*",), ("a",), ("x/y", "b"), "p", "r", plan_id="0" * 40
    )  # fmt: skip
    found = run_from_dagster(run_to_dagster(run))
    assert found.extra == {}
    assert found.run == Run(
        RUN_ID, "j", origin, {"ops": {}}, {"a": "1"}, RunStatus.CANCELING, ("a*",), ("a",), ("b", "x/y"), "p", "r"
    )  # fmt: skip


def test_old_names_and_sets_of_a_run() -> None:
    tree = json.loads(RUNS[0])
    tree["environment_dict"] = tree.pop("run_config")
    tree["job_name"] = tree.pop("pipeline_name")
    tree["asset_selection"] = {"__set__": [{"__class__": "AssetKey", "path": ["a/b", "c"]}]}
    tree["solids_to_execute"] = {"__frozenset__": ["a"]}
    found = run_from_dagster(json.dumps(tree))
    assert (found.run.job_name, found.run.run_config) == ("allj", json.loads(RUNS[0])["run_config"])
    assert found.extra["solids_to_execute"] == {"__frozenset__": ["a"]}
    assert json.loads(run_to_dagster(*found))["asset_selection"] == tree["asset_selection"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"run_id": 3}, "run_id"),
        ({"status": {"__enum__": "PipelineRunStatus.STARTD"}}, "not a run status"),
        ({"status": []}, "not a run status"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"asset_selection": []}, "not a set of asset keys"),
        ({"asset_selection": {"__set__": [1]}}, "not a set of asset keys"),
        ({"asset_selection": {"__set__": 1}}, "not a set of asset keys"),
        ({"pipeline_code_origin": {"__class__": "X"}}, "not the right class"),
        ({"step_keys_to_execute": [1]}, "not a list of names"),
        ({"job_name": "other"}, "are the same field and differ"),
        ({"__class__": "DagsterRun"}, "not a run .got DagsterRun, expected PipelineRun"),
    ],
)
def test_what_is_not_a_run(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        run_from_dagster(json.dumps(json.loads(RUNS[0]) | change))
