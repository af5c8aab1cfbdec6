"""`make check`, `make test`, `make test-long`, `make demo`, `make bench`: what they run, in which order, and how it went.

Reads from the top: the suites as data, then how one is run, then the verbs. Needs nothing but the standard library; what the
suites need is made by ``environments.py`` and ``tests/services/prepare.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import demo
import environments
from environments import BUILD, DEVELOPMENT, ROOT, Environment, Failed

REPORTS = BUILD / "reports"
WORK = (
    BUILD / "work"
)  # where tools and tests are started: from the clone itself, `config` or `events` would be importable
UNIT = ("tests/test_layout.py", "tests/unit")
# Folders of tests/ beside unit, in the order in which they run. A folder that is not named here fails the layout test.
FOLDERS = ("contracts", "real", "parity", "examples", "tier_a", "mutants", "containers")
# A suite that hangs ends here, not at CI's limit. Several times what it takes alone on two cores, in minutes.
LIMITS = {"contracts": 15, "real": 30, "tier_a": 30, "mutants": 25, "containers": 20}
OTHERWISE = 10
# With the full counts: 50,000 graphs; 100,000 batches, a million events and outages of minutes; 800 points and 400 cancels.
LIMITS_LONG = {"unit": 180, "contracts": 120, "real": 300, "tier_a": 420, "benchmarks": 180}
OTHERWISE_LONG = 60


@dataclass
class Tally:
    """How one suite went.

    Attributes:
        tests: none when the suite is no pytest run.
    """

    name: str
    ok: bool
    minutes: float
    tests: dict[str, int] | None = None
    skipped: list[str] = field(default_factory=list)


class Session:
    """One call of a verb: runs suites one after the other, goes on when one fails, and sums up at the end."""

    def __init__(self, *, long: bool = False) -> None:
        self.long = long
        self.tallies: list[Tally] = []
        self.notes: list[str] = []
        self.environ = {**os.environ, "RUNPLANE_LONG": "1" if long else ""}
        self.environ.pop("PYTHONPATH", None)
        WORK.mkdir(parents=True, exist_ok=True)
        REPORTS.mkdir(parents=True, exist_ok=True)

    # -- one suite

    def step(self, name: str, action: Callable[[], None]) -> bool:
        """Something that is no test: it has gone well unless it raises `Failed`."""
        self._title(name)
        started = time.monotonic()
        try:
            action()
        except Failed as error:
            print(error)
            return self._note_down(Tally(name, False, minutes_since(started)))
        return self._note_down(Tally(name, True, minutes_since(started)))

    def tool(self, name: str, command: list[str], **variables: str) -> bool:
        self._title(name)
        started = time.monotonic()
        code = self._call(name, command, variables)
        return self._note_down(Tally(name, code == 0, minutes_since(started)))

    def pytest(self, name: str, paths: list[str], environment: Environment = DEVELOPMENT) -> bool:
        self._title(name)
        started = time.monotonic()
        report = REPORTS / f"{name.replace(' ', '-')}.xml"
        report.unlink(missing_ok=True)
        command = [str(environment.python), "-m", "pytest", "-c", str(ROOT / "tests" / "pytest.ini")]
        command += ["-q", f"--junitxml={report}", *(str(ROOT / p) for p in paths)]
        command += [] if self.long else ["-m", "not long"]
        code = self._call(name, command)
        tests, skipped = read_report(report)
        ok = code == 0 and bool(tests["passed"])
        return self._note_down(Tally(name, ok, minutes_since(started), tests, skipped))

    def _call(self, name: str, command: list[str], variables: dict[str, str] | None = None) -> int:
        minutes = minutes_allowed(name, long=self.long)
        try:
            return subprocess.run(
                command,
                check=False,
                cwd=WORK,
                env={**self.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                timeout=60 * minutes,
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"ended after {minutes} minutes: {' '.join(command)}")
            return 1

    def _title(self, name: str) -> None:
        print(f"\n---- {name}", flush=True)

    def _note_down(self, tally: Tally) -> bool:
        self.tallies.append(tally)
        return tally.ok

    # -- the end

    def finish(self) -> int:
        """Print the summary; 0 when everything went well."""
        print("\n---- summary")
        for tally in self.tallies:
            counts = ", ".join(f"{n} {what}" for what, n in (tally.tests or {}).items() if n)
            print(f"{'ok    ' if tally.ok else 'FAILED'}  {tally.minutes:5.1f} min  {tally.name:<26} {counts}".rstrip())
        print(f"        {sum(t.minutes for t in self.tallies):5.1f} min  in all")
        for tally in self.tallies:
            for reason in tally.skipped:
                print(f"skipped in {tally.name}: {reason}")
        for note in self.notes:
            print(note)
        total = {what: sum(t.tests[what] for t in self.tallies if t.tests) for what in ("passed", "failed", "skipped")}
        failed = [t.name for t in self.tallies if not t.ok]
        if failed:
            print(f"failed: {', '.join(failed)}")
        if any(total.values()):
            print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
        return 1 if failed else 0


def minutes_allowed(name: str, *, long: bool) -> int:
    """How long a suite may take. "unit 3.12" is the suite "unit", on another Python."""
    limits, otherwise = (LIMITS_LONG, OTHERWISE_LONG) if long else (LIMITS, OTHERWISE)
    return limits.get(name.split()[0], otherwise)


def minutes_since(started: float) -> float:
    return (time.monotonic() - started) / 60


def read_report(report: Path) -> tuple[dict[str, int], list[str]]:
    """Counts and the reasons of what was skipped, from a JUnit file; no file means that pytest did not get that far."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    reasons: list[str] = []
    if not report.exists():
        return counts, reasons
    for case in ElementTree.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            counts["failed"] += 1
        elif "skipped" in outcomes:
            counts["skipped"] += 1
            reasons.append(next(case.iter("skipped")).get("message", ""))
        else:
            counts["passed"] += 1
    return counts, sorted(set(reasons))


# ---------------------------------------------------------------------------------------------------- verbs


def check(session: Session) -> bool:
    """Lint, types, import rules, unit tests. False when there is no environment to run anything in."""
    if not session.step("environment", lambda: made_ready(DEVELOPMENT)):
        return False
    settings = str(ROOT / "pyproject.toml")
    ruff = DEVELOPMENT.command("ruff")
    session.tool("lint", [ruff, "check", str(ROOT)])
    session.tool("format", [ruff, "format", "--check", str(ROOT)])
    mypy = [str(DEVELOPMENT.python), "-m", "mypy", "--config-file", settings, "--cache-dir", str(BUILD / "mypy")]
    session.tool("types", [*mypy, "-p", "runplane"])
    own = ["-p", "services", "-m", "conftest", "-m", "scale", "-m", "suites"]
    session.tool("types of the tests' services", [*mypy, *own], MYPYPATH=f"{ROOT / 'tests'}:{ROOT / '.ci'}")
    session.tool("layers", [DEVELOPMENT.command("lint-imports"), "--config", settings, "--no-cache"])
    session.pytest("unit", existing(UNIT))
    return True


def test(session: Session) -> None:
    """`check`, then every other folder of tests, then the other Pythons. Services are made ready meanwhile."""
    others = environments.other_pythons()
    s3_gateway = built_beside("s3")
    try:
        with ThreadPoolExecutor(1) as beside:
            services = beside.submit(services_up, session)
            dagster = beside.submit(environments.dagster_python)
            if not check(session):
                return
            session.step("services", lambda: use(session, services))
            session.step("a real Dagster", lambda: use(session, dagster))
        for folder in FOLDERS:
            if list((ROOT / "tests" / folder).rglob("test_*.py")):
                session.pytest(folder, [f"tests/{folder}"])
    finally:
        s3_gateway.wait()
        services_down()
    for version, python in others.items():
        test_on(session, version, python)
    missing = sorted(set(environments.SUPPORTED) - set(others) - {environments.MINE})
    session.notes.append(f"Pythons not found on this machine, so not tested: {', '.join(missing) or 'none'}")


def services(verb: str) -> subprocess.CompletedProcess[str]:
    """Call ``tests/services/prepare.py``. It is plain Python, so that it need not wait for an environment."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "services.prepare", verb]
    return subprocess.run(
        command, check=False, cwd=WORK, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def built_beside(service: str) -> subprocess.Popen[bytes]:
    """Build a service's program while suites run. The fixture that needs it waits for it, and says why it is not to be had."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "services.prepare", service]
    environments.LOGS.mkdir(parents=True, exist_ok=True)
    with (environments.LOGS / f"service-{service}.log").open("wb") as log:
        return subprocess.Popen(command, cwd=WORK, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def services_up(session: Session) -> dict[str, str]:
    """Docker and the services image where they can be had: variables for the tests.

    Raises:
        Failed: in CI they could not. Elsewhere a note is made and the tests that need them are skipped.
    """
    done = services("up")
    if done.returncode and os.environ.get("CI"):
        raise Failed(done.stderr)
    if done.returncode:
        session.notes.append(done.stderr.strip())
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def services_down() -> None:
    done = services("down")
    if done.returncode:
        print(f"the services did not end as they should: {done.stderr}")


def use(session: Session, made: Future[dict[str, str]]) -> None:
    session.environ.update(made.result())


def test_on(session: Session, version: str, python: str) -> None:
    """The unit suite and the demo job on another Python."""
    environment = environments.for_python(version)
    if session.step(f"environment {version}", lambda: made_ready(environment, python)):
        session.pytest(f"unit {version}", existing(UNIT), environment)
        if demo.EXAMPLES[0].is_there():
            session.step(f"demo job {version}", lambda: demo.run(environment, demo.EXAMPLES[:1]))


def existing(paths: tuple[str, ...]) -> list[str]:
    return [p for p in paths if (ROOT / p).exists()]


def made_ready(environment: Environment, python: str | None = None) -> None:
    environments.ready(environment, python)


def show(session: Session) -> None:
    """The demo, in an environment that holds the package and what it needs, nothing else."""
    if session.step("environment", lambda: made_ready(environments.DEMO)):
        session.step("demo", lambda: demo.run(environments.DEMO, demo.EXAMPLES))


def bench(session: Session) -> None:
    """``bench/run.py`` beside a real Dagster: it writes ``docs/benchmarks.md``. Postgres is the tests'."""
    if not session.step("environment", lambda: made_ready(DEVELOPMENT)):
        return
    session.step("a real Dagster", lambda: session.environ.update(environments.dagster_python()))
    try:
        session.step("services", lambda: session.environ.update(services_up(session)))
        session.tool("benchmarks", [str(DEVELOPMENT.python), "-u", str(ROOT / "bench" / "run.py")])
    finally:
        services_down()


def main(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "test"
    if verb == "clean":
        services_down()
        return 0
    verbs = {"check": check, "test": test, "test-long": test, "demo": show, "bench": bench}
    if verb not in verbs:
        print(f"{sys.argv[0]}: unknown verb {verb!r}; known: {', '.join(verbs)}, clean", file=sys.stderr)
        return 2
    session = Session(long=verb in ("test-long", "bench"))
    verbs[verb](session)
    if verb == "demo" and all(tally.ok for tally in session.tallies):
        return 0  # what the demo printed last says what to do next
    return session.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
