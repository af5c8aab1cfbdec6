"""``docs/reference/dagster.md``: each public name of Dagster, and each member of its results and contexts, as same, different or absent.

Written anew by ``RUNPLANE_DAGSTER_PYTHON=... python tests/dagster_page.py``; ``parity/test_public_names.py`` holds the page to both libraries.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from runplane.definitions.absent_names import DAGSTER, absent

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "reference" / "dagster.md"
Side = dict[str, Any]
Parameters = list[tuple[str, bool, bool]]
"""Name, whether it has a default, whether it is taken by name only."""

PARTITIONS = "partitions are not in this version"
INTERNAL = "an internal of Dagster"
RECORDS = "records and their filters are not in this version; `runplane run list` and `run events` with `--json`"
OWN_FORM = "made by the library; what it is made of differs"
LIBRARY_MADE = (
    r"Asset(Checks|s)Definition|AssetCheckEvaluation|Dagster(Event|Instance|Run|TypeLoaderContext)|.*Context|(ExecuteInProcess|JobExecution)Result"
    r"|(Executor|Graph|InputManager|IOManager|Job|Op|Repository)Definition|PendingNodeInvocation|.*\.get_op_execution_context"
)
# The first pattern that fits `Class.member` (or a name) says why it is not the same.
NOTES = [
    (r".*partition.*", PARTITIONS),
    (r"(Op|Asset|AssetCheck)ExecutionContext\.(consume_events|has_events)", "`yield` the event, or `log_event`"),
    (r".*\.(get_step_execution_context|step_context|step_launcher|pdb)", INTERNAL),
    (r".*\.(requires_typed_event_stream|set_requires_typed_event_stream|typed_event_stream_error_message)", INTERNAL),
    (
        r".*ExecutionContext\.(repository_def|location_name|is_subset)",
        "a step knows its job, and not the location around it",
    ),
    (r".*ExecutionContext\.get", "take `context` as a parameter"),
    (r".*ExecutionContext\.(load_asset_value|get_asset_provenance)", "this part of assets is not in this version"),
    (r"OpExecutionContext\..*(asset|data_version).*", "in `AssetExecutionContext`"),
    (r".*ExecutionContext\..*(asset|data_version|provenance).*", "this part of assets is not in this version"),
    (
        r"DagsterEvent\.(is_alert_event|run_enqueued_data|asset_(health|freshness|wiped|check_planned|failed).*)",
        INTERNAL,
    ),
    (r"DagsterEvent\.code_location_updated_data", INTERNAL),
    (r"DagsterEvent\.step_(handle|kind)", "`step_key`, `node_handle`"),
    (r"DagsterEvent\.(materialization|asset_key|asset_check_evaluation_data)", "in `event_specific_data`"),
    (r"DagsterEvent\..*", "events are written by the run alone: there is nothing that makes one"),
    (r".*\.(consume_events|consume_logged_metadata|get_logged_events|get_observations)", INTERNAL),
    (r".*\.(event_loop|log_manager)", "`context.log`"),
    (r"(Input|Output)Context\..*asset.*", "this part of assets is not in this version"),
    (r"(Input|Output)Context\..*", "not in this version"),
    (r"DagsterInstance\.(fetch|get_run_record|get_asset_records|get_latest_materialization_code).*", RECORDS),
    (r"DagsterInstance\.get", "ours may be told how to speak to a person (`say`)"),
    (r"DagsterInstance\.ephemeral", "a folder for outputs is its only argument"),
    (r"DagsterInstance\.delete_run", "`runplane run delete`"),
    (r"DagsterInstance\.local_temp", "`from_home`"),
    (r"DagsterInstance\..*", "this part of assets is not in this version"),
    (r".*Result\..*", "this part of assets is not in this version"),
    (r"Dagster.*(Error|DidNotPass|NotFound)", "the text, then where, got, expected, nearest and hint"),
    (r"(Dict|List|Optional|Set|Tuple)", "the form of `typing`"),
    (LIBRARY_MADE, OWN_FORM),
]

HEAD = f"""# Dagster's public names

This page compares runplane with Dagster {DAGSTER}: each public name, and each public member of the results, contexts and events that user code
meets; of the instance, the members that Dagster's reference documents. *Same*: the name and its parameters, with their order and whether they have a default. *Different*: the name is there; its parameters
differ, as the note says; what is left out is deprecated, or of what is not in this version. Where Dagster's own signature is `*args, **kwargs` the name alone is compared. *Absent*: it is not there. How things behave is in [differences](../differences.md). A test holds this page to both
libraries; `python tests/dagster_page.py` writes it.
"""


def output_of(python: str, library: str) -> Side:
    """Names and members of one library."""
    keep = library == "runplane"
    env = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME" and (keep or k != "PYTHONPATH")}
    command = [python, str(TESTS / "parity" / "signatures_one_side.py"), library]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, cwd=TESTS.parent / "build")
    side: Side = json.loads(done.stdout.splitlines()[-1])
    return side


def page(theirs: Side, ours: Side) -> str:
    """The page's text."""
    parts = [HEAD, "## Members\n"]
    for cls, members in theirs["members"].items():
        parts.append(f"### {cls}\n\n{_table('Member', _members(cls, members, ours['members'].get(cls)))}")
    parts.append(f"## Names\n\n{_table('Name', _names(theirs['names'], ours['names']))}")
    return "\n".join(parts)


def _members(cls: str, theirs: dict[str, Any], ours: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    rows = []
    for name, parameters in theirs.items():
        if ours is None or name not in ours:
            rows.append((name, "absent", note(f"{cls}.{name}")))
        elif ours[name] != parameters:
            rows.append((name, "different", note(f"{cls}.{name}")))
        else:
            rows.append((name, "same", ""))
    return rows


def _names(theirs: dict[str, Any], ours: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name, parameters in theirs.items():
        group = absent(name)
        if name not in ours:
            rows.append((name, "absent", f"{group.when}: {group.instead}" if group else "nobody knows why"))
        elif None not in (parameters, ours[name]) and not takes_the_same(parameters, ours[name]):
            rows.append((name, "different", note(name) or difference(parameters, ours[name])))
        else:
            rows.append((name, "same", ""))
    return rows


def takes_the_same(theirs: Parameters, ours: Parameters) -> bool:
    """Whether what can be given there can be given here: here more may be left out, or given by its place."""
    there, here = ([p for p in side if not p[0].startswith("*")] for side in (theirs, ours))
    return [p[0] for p in there] == [p[0] for p in here] and all(
        (may_be_left_out or not had_to_be) and (only_by_name or not takes_only_names)
        for (_, had_to_be, only_by_name), (_, may_be_left_out, takes_only_names) in zip(there, here, strict=True)
    )


def difference(theirs: Parameters, ours: Parameters) -> str:
    """Which parameters are not there, or are taken otherwise."""
    names, by_name = [p[0] for p in ours], {p[0] for p in ours if p[2]}
    without = [p[0] for p in theirs if p[0] not in names and not p[0].startswith("*")]
    said = {
        "without": without,
        "by name only:": [p[0] for p in theirs if p[0] in by_name and not p[2]],
        "also takes": [n for n in names if n not in {p[0] for p in theirs} and not n.startswith("*")],
    }
    found = [f"{what} {', '.join(f'`{n}`' for n in which)}" for what, which in said.items() if which]
    return "; ".join(found) or "the order, or what may be left out"


def note(what: str) -> str:
    """Why `what` is not the same; nothing where its parameters say it."""
    return next((text for pattern, text in NOTES if re.fullmatch(pattern, what)), "")


def _table(first: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"| {first} | Here | |", "|---|---|---|"]
    lines += [f"| `{name}` | {status} | {text} |" for name, status, text in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(
        page(output_of(os.environ["RUNPLANE_DAGSTER_PYTHON"], "dagster"), output_of(sys.executable, "runplane"))
    )
