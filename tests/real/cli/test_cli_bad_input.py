"""Bad input of verbs for people: exit code 2, one readable message, nothing written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Bad:
    """What is typed (``FILE`` is a file of jobs), and what the message has to name."""

    words: tuple[str, ...]
    names: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    writes_nothing: bool = True


EXECUTE = ("job", "execute", "-f", "FILE")
TRUNCATED = "eJyLVsrNz1OyMtJRKkrMS8/JVLLKK83J0VFKyUwvSiwqUbIqSUyyMqwFAFJRDG4="[:40]
CASES = {
    "no code": Bad(("job", "execute"), ("-f FILE",)),
    "two places of code": Bad(("job", "execute", "-f", "FILE", "-m", "os"), ("one of",)),
    "no such file": Bad(("job", "execute", "-f", "some_job.py"), ("some_job.py",)),
    "no such module": Bad(("job", "list", "-m", "nosuchmodule"), ("no module 'nosuchmodule'",)),
    "no such attribute": Bad((*EXECUTE, "-a", "doublin"), ("'doublin'", "'doubling'")),
    "no such folder": Bad((*EXECUTE, "-d", "/not/there"), ("/not/there",)),
    "no such job": Bad((*EXECUTE, "-j", "doublin"), ("'doublin'", "Did you mean 'doubling'?")),
    "several jobs": Bad(EXECUTE, ("-j NAME", "doubling")),
    "an import that fails": Bad(
        ("job", "execute", "-f", "broken.py"),
        ("ModuleNotFoundError: No module named 'nosuch'", 'broken.py", line 2'),
        files=(("broken.py", "import os\nimport nosuch\n"),),
    ),
    "a syntax error": Bad(
        ("job", "execute", "-f", "broken.py"),
        ("SyntaxError", "broken.py", "line 1"),
        files=(("broken.py", "def (:\n"),),
    ),
    "an import that leaves": Bad(
        ("job", "execute", "-f", "leaves.py"),
        ("exit code 3",),
        files=(("leaves.py", "import os\nos._exit(3)\n"),),
    ),
    "run config, all problems": Bad(
        (
            *EXECUTE,
            "-j",
            "doubling",
            "--config-json",
            '{"ops": {"number": {"config": {"n": "x"}}, "doubl": {}}, "opps": 1}',
        ),
        ("3 problems", "ops.number.config.n", "ops.doubl", "'double'", "opps"),
    ),
    "run config that is no YAML": Bad(
        (*EXECUTE, "-j", "doubling", "-c", "c.yaml"), ("c.yaml", "not YAML"), files=(("c.yaml", "a: [1\n"),)
    ),
    "no such config file": Bad(
        (*EXECUTE, "-j", "doubling", "-c", "c.yml"), ("c.yml", "'c.yaml'"), files=(("c.yaml", "{}\n"),)
    ),
    "config twice": Bad((*EXECUTE, "-c", "c.yaml", "--config-json", "{}"), ("not by both",)),
    "tags that are no JSON": Bad((*EXECUTE, "-j", "doubling", "--tags", "a=b"), ("--tags", "not JSON")),
    "tags that are no mapping": Bad((*EXECUTE, "-j", "doubling", "--tags", "[1]"), ("--tags", "a mapping")),
    "an op that is not there": Bad((*EXECUTE, "-j", "doubling", "--select", "numbr"), ("'numbr'", "'number'")),
    "an empty selection": Bad((*EXECUTE, "-j", "doubling", "--select", ","), ("--select",)),
    "a run id that is none": Bad((*EXECUTE, "-j", "doubling", "--run-id", "x"), ("UUID", "'x'"), writes_nothing=False),
    "a time limit that is none": Bad(
        EXECUTE, ("RUNPLANE_LOCAL_STARTUP_TIMEOUT",), env=(("RUNPLANE_LOCAL_STARTUP_TIMEOUT", "a"),)
    ),
    "a lease that is no number": Bad(
        (*EXECUTE, "-j", "doubling"), ("RUNPLANE_LEASE_TTL", "above 0"), env=(("RUNPLANE_LEASE_TTL", "abc"),)
    ),
    "a folder for a file": Bad(("job", "list", "-f", "."), ("a folder, not a Python file",)),
    "a module without a name": Bad(("job", "list", "-m", ""), ("-m",)),
    "an unknown key": Bad(
        (*EXECUTE, "-j", "doubling"),
        ("run_launchr", "'run_launcher'"),
        files=(("home/dagster.yaml", "run_launchr: {}\n"),),
    ),
    "an unknown class": Bad(
        ("instance", "check"),
        ("K8sRunLaunchr", "'dagster_k8s:K8sRunLauncher'"),
        files=(("home/dagster.yaml", "run_launcher: {module: dagster_k8s, class: K8sRunLaunchr}\n"),),
    ),
    "a missing variable": Bad(
        ("instance", "check"),
        ("NOT_SET",),
        files=(("home/dagster.yaml", "storage: {sqlite: {base_dir: {env: NOT_SET}}}\n"),),
    ),
    "no such file to check": Bad(("instance", "check", "-f", "dagstr.yaml"), ("dagstr.yaml",)),
    "a home that is not there": Bad(("run", "list"), ("/not/there", "mkdir"), env=(("DAGSTER_HOME", "/not/there"),)),
    "no such run": Bad(("run", "show", "0123abcd"), ("'0123abcd'", "run list"), writes_nothing=False),
    "a pattern for a run": Bad(("run", "show", "%%%%"), ("'%%%%'",), writes_nothing=False),
    "no such run to retry": Bad(("run", "retry", "0123abcd"), ("'0123abcd'",), writes_nothing=False),
    "a cursor that is none": Bad(("run", "list", "--cursor", "x"), ("cursor",), writes_nothing=False),
    "a tag that is none": Bad(("run", "list", "--tag", "x"), ("KEY=VALUE",)),
    "args that are no JSON": Bad(("args", "show", "{nope"), ("JSON",)),
    "args of no class": Bad(("args", "show", '{"a": 1}'), ("no __class__",)),
    "args of an unknown class": Bad(("args", "show", '{"__class__": "ExecuteRunArg"}'), ("'ExecuteRunArgs'",)),
    "args that are truncated": Bad(("args", "show", TRUNCATED), ("cut short",)),
    "no args file": Bad(("args", "show", "-f", "nosuch.json"), ("nosuch.json",)),
    "no such verb": Bad(("jobs", "list"), ("Did you mean 'job'?",)),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_message_and_nothing_written(
    case: str, home: Path, jobs_file: Path, runplane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd
) -> None:
    bad = CASES[case]
    monkeypatch.chdir(tmp_path)
    for name, text in bad.files:
        (tmp_path / name).write_text(text)
    for variable, value in bad.env:
        monkeypatch.setenv(variable, value)
    before = sorted(p for p in tmp_path.rglob("*") if "__pycache__" not in p.parts)

    done = runplane(*(str(jobs_file) if word == "FILE" else word for word in bad.words))

    message = done.stderr + capfd.readouterr().err
    assert done.exit_code == 2
    assert "runplane/" not in message.replace(str(tmp_path), ""), "a frame of ours"
    for name in bad.names:
        assert name in message
    if bad.writes_nothing:
        assert sorted(p for p in tmp_path.rglob("*") if "__pycache__" not in p.parts) == before


def test_a_step_that_the_plan_does_not_have_is_refused(home: Path, jobs_file: Path, runplane, as_process) -> None:
    as_process("job", "execute", "-f", jobs_file, "-j", "failing")
    run_id = json.loads(runplane("run", "list", "--json").stdout)["runs"][0]["run_id"]

    done = runplane("run", "logs", run_id, "--step", "caus")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "no step 'caus'" in done.stderr
    assert "Did you mean 'cause'?" in done.stderr


def test_a_database_that_is_away_is_2_after_some_patience(
    home: Path, runplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runplane.instance.instance.VERB_PATIENCE_S", 0.2)
    (home / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_url: 'postgresql://nobody:x@127.0.0.1:9/nothing'}}\n"
    )

    done = runplane("run", "list")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "127.0.0.1" in done.stderr
    assert ":x@" not in done.stderr
