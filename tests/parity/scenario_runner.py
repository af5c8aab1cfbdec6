"""All scenarios of one side in one process: run by a Python that has the library, with the library's name as argument; prints JSON.

A scenario is a file of user code that says ``from dagster import ...`` (or ``import dagster as dg``) and has a function ``scenario()``, which
gives a mapping from label to what is compared: a result, plain values, or a function without parameters, which is called and
whose exception is compared too. ``scenario(folder)`` gets an empty folder of its own. Options after the library: names of scenarios.
"""

import enum
import importlib
import inspect
import itertools
import json
import re
import sys
import tempfile
import traceback
import types
import warnings
from pathlib import Path

SCENARIOS = Path(__file__).parent / "scenarios"
WRITTEN_FOR = re.compile(r"^(\s*)(from|import) dagster\b", re.MULTILINE)
# What executors say of themselves, and where output was captured: of no step, or only where a process is started for it.
LEFT_OUT = {"ENGINE_EVENT", "LOGS_CAPTURED", "STEP_WORKER_STARTING", "STEP_WORKER_STARTED"}
# Resources are the run's. Where the run has one step only, Dagster files them under that step.
OF_THE_RUN = {"RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "RESOURCE_INIT_FAILURE"}


def load(name: str, library: str) -> types.ModuleType:
    """The scenario as a module that imports `library`. Its file is written, so that jobs of it can be loaded again."""
    text = WRITTEN_FOR.sub(rf"\1\2 {library}", (SCENARIOS / f"{name}.py").read_text())
    file = Path(tempfile.mkdtemp(prefix="scenario-")) / f"scenario_{name}.py"
    file.write_text(text)
    sys.path.insert(0, str(file.parent))
    return importlib.import_module(file.stem)


def run(name: str, library: types.ModuleType) -> dict:
    """What the scenario comes to: path -> value, flat."""
    found: dict = {}
    try:
        function = load(name, library.__name__).scenario
        folder = [Path(tempfile.mkdtemp(prefix="folder-"))] if inspect.signature(function).parameters else []
        for label, value in function(*folder).items():
            flatten(label, described(value, library), found)
    except BaseException:
        found["scenario failed"] = traceback.format_exc()
    return found


def described(value, library: types.ModuleType):
    """A value in JSON: a result by its steps and their events, an exception by what can catch it."""
    if inspect.isfunction(value):
        try:
            return described(value(), library)
        except Exception as error:
            return described(error, library)
    if hasattr(value, "all_events"):
        return result(value)
    if isinstance(value, BaseException):
        return {"raised": caught_by(value, library)}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dict):
        return {str(k): described(v, library) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(described(v, library) for v in value)
    if isinstance(value, (list, tuple)):
        return [described(v, library) for v in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else f"<{type(value).__name__}>"


def result(value) -> dict:
    """A run: did it succeed, what happened to the run, what to each step, in order."""
    events = [(e.event_type_value.replace("PIPELINE_", "RUN_"), e.step_key) for e in value.all_events]
    events = [(kind, None if kind in OF_THE_RUN else step) for kind, step in events if kind not in LEFT_OUT]
    steps: dict = {}
    for kind, step in events:
        if step is not None:
            steps.setdefault(step, []).append(kind)
    steps = {step: in_order(kinds) for step, kinds in steps.items()}
    return {"success": value.success, "run": [kind for kind, step in events if step is None], "steps": steps}


def in_order(kinds: list[str]) -> list[str]:
    """The hooks of a step are a set in Dagster: those that are called one after the other have no order."""
    groups = itertools.groupby(kinds, key=lambda kind: kind.startswith("HOOK_"))
    return [kind for are_hooks, group in groups for kind in (sorted(group) if are_hooks else group)]


def caught_by(error: BaseException, library: types.ModuleType) -> list[str]:
    """Names of the library's public error classes that catch it, or its own class when there are none; what it was raised from."""
    names = [n for n in dir(library) if n.startswith("Dagster") and n.endswith(("Error", "DidNotPass", "NotFound"))]
    names += ["Failure", "RetryRequested"]
    names = sorted(n for n in names if isinstance(error, getattr(library, n))) or [type(error).__name__]
    cause = error.__cause__
    return names if cause is None else [*names, f"from {type(cause).__name__}"]


def flatten(path: str, value, found: dict) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            flatten(f"{path}/{key}", inner, found)
    else:
        found[path] = value


def leave_unnumbered() -> None:
    """Dagster's databases in memory do without the number of their schema: reading all migrations for it is half of a short run."""
    for kind in ("runs", "event_log"):
        storage = importlib.import_module(f"dagster._core.storage.{kind}.in_memory")
        assert callable(storage.stamp_alembic_rev)
        storage.stamp_alembic_rev = lambda *_: None


def main() -> None:
    warnings.simplefilter("ignore")
    library = importlib.import_module(sys.argv[1])
    if library.__name__ == "dagster":
        leave_unnumbered()
    names = sys.argv[2:] or sorted(p.stem for p in SCENARIOS.glob("*.py"))
    print(json.dumps({name: run(name, library) for name in names}))


if __name__ == "__main__":
    main()
