"""`make check`, `make test`, `make test-long`, `make demo`, `make bench`: what they run, in which order, and how it went.

Reads from the top: the suites as data, then how one is run, then the verbs. Needs nothing but the standard library; what the
suites need is made by ``environments.py`` and ``tests/services/prepare.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

import demo
import environments
from environments import BUILD, DEVELOPMENT, ROOT, Environment, Failed

REPORTS = BUILD / "reports"
WORK = (
    BUILD / "work"
)  # where tools and tests are started: from the clone itself, `config` or `events` would be importable
UNIT = ("tests/test_layout.py", "tests/unit")
# Half of what the unit tests take: `make check` runs them in two halves side by side.
SECOND_HALF = ("engine", "kube", "locations", "storage", "testing")
# Folders of tests/ beside unit, in the order in which they begin. A folder that is not named here fails the layout test.
FOLDERS = ("real", "tier_a", "mutants", "contracts", "parity", "examples", "containers")
# Suites run side by side, as most wait for processes, leases and outages more than they compute.
LANES = 4
# So many of the folders take long, and begin before those of APART.
LONG = 4
# Folders of tests/real/ that are suites of their own. They take long too, but the cluster is being built while others run.
APART = ("kubernetes", "celery")
# A suite that hangs ends here, not at CI's limit. Several times what it takes alone on two cores, in minutes.
LIMITS = {"contracts": 40, "real": 60, "tier_a": 60, "mutants": 60, "containers": 30}
OTHERWISE = 30
# With the full counts: 50,000 graphs; 100,000 batches, a million events and outages of minutes; 800 points and 400 cancels.
LIMITS_LONG = {"unit": 180, "contracts": 120, "real": 300, "tier_a": 420, "benchmarks": 180}
OTHERWISE_LONG = 60


@dataclass(frozen=True)
class Job:
    """A program that checks something.

    Attributes:
        variables: environment variables of its own.
        report: the JUnit file that it writes; none when it is no pytest run.
    """

    name: str
    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    report: Path | None = None


@dataclass
class Tally:
    """How one suite went.

    Attributes:
        busy: minutes of CPU time, of its processes that it waited for.
        tests: none when the suite is no pytest run.
    """

    name: str
    ok: bool
    minutes: float
    busy: float = 0.0
    tests: dict[str, int] | None = None
    skipped: list[str] = field(default_factory=list)


Lanes = Callable[[Sequence[Job]], None]
"""Takes jobs that may begin now."""


class Session:
    """One call of a verb: runs suites, one after the other or side by side, goes on when one fails, and sums up at the end."""

    def __init__(self, *, long: bool = False) -> None:
        self.long = long
        self.began = time.monotonic()
        self._printing = threading.Lock()
        self.tallies: list[Tally] = []
        self.notes: list[str] = []
        self.environ = {**os.environ, "RUNPLANE_LONG": "1" if long else ""}
        # The first would bring another package; with the second everything that is printed would be there at once, whatever we do.
        for variable in ("PYTHONPATH", "PYTHONUNBUFFERED"):
            self.environ.pop(variable, None)
        WORK.mkdir(parents=True, exist_ok=True)
        REPORTS.mkdir(parents=True, exist_ok=True)
        # Each suite has a folder here for what its tests make: in one that they share, each tidies up what another
        # is making. The path is short, as sockets lie below it.
        self.made_by_tests = Path(tempfile.mkdtemp(prefix="t-"))

    # -- one suite

    def step(self, name: str, action: Callable[[], object]) -> bool:
        """Something that is no test: it has gone well unless it raises `Failed`."""
        self._title(name)
        started = time.monotonic()
        try:
            action()
        except Failed as error:
            print(error)
            return self._note_down(Tally(name, False, minutes_since(started)))
        return self._note_down(Tally(name, True, minutes_since(started)))

    def run(self, job: Job) -> bool:
        """One job, its output as it comes."""
        self._title(job.name)
        return self._note_down(read_report(job, self._call(job)))

    @contextmanager
    def lanes(self) -> Iterator[Lanes]:
        """Jobs in several lanes, begun in the order in which they are given; each one's output is printed when it has ended."""
        with ThreadPoolExecutor(LANES) as threads:
            given: list[Future[None]] = []
            yield lambda jobs: given.extend(threads.submit(self._in_a_lane, job) for job in jobs)
            for done in given:
                done.result()

    def _in_a_lane(self, job: Job) -> None:
        said = environments.LOGS / f"{job.name.replace(' ', '-')}.log"
        with said.open("wb") as output:
            tally = self._call(job, output)
        with self._printing:
            self._title(job.name)
            print(said.read_text(errors="replace"), flush=True)
            self._note_down(read_report(job, tally))

    def pytest(self, name: str, paths: list[str], environment: Environment = DEVELOPMENT) -> Job:
        """A suite of tests as a job."""
        report = REPORTS / f"{name.replace(' ', '-')}.xml"
        report.unlink(missing_ok=True)
        command = [str(environment.python), "-m", "pytest", "-c", str(ROOT / "tests" / "pytest.ini")]
        command += ["-q", f"--junitxml={report}", f"--basetemp={self.made_by_tests / report.stem}"]
        command += [str(ROOT / p) for p in paths]
        return Job(name, command + ([] if self.long else ["-m", "not long"]), report=report)

    def _call(self, job: Job, output: IO[bytes] | None = None) -> Tally:
        minutes = minutes_allowed(job.name, long=self.long)
        started = time.monotonic()
        process = subprocess.Popen(
            job.command,
            cwd=WORK,
            env={**self.environ, **job.variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output and subprocess.STDOUT,
        )
        late = threading.Timer(60 * minutes, process.kill)
        late.start()
        # Not `wait`: only this tells what one child has cost while others run.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if not late.is_alive():
            print(f"ended after {minutes} minutes: {' '.join(job.command)}")
        late.cancel()
        busy = (used.ru_utime + used.ru_stime) / 60
        return Tally(job.name, process.returncode == 0, minutes_since(started), busy)

    def _title(self, name: str) -> None:
        print(f"\n---- {name}", flush=True)

    def _note_down(self, tally: Tally) -> bool:
        self.tallies.append(tally)
        return tally.ok

    # -- the end

    def finish(self) -> int:
        """Print the summary; 0 when everything went well. What the tests made is kept when one has failed."""
        print("\n---- summary")
        for tally in self.tallies:
            counts = ", ".join(f"{n} {what}" for what, n in (tally.tests or {}).items() if n)
            cost = (
                f"{tally.minutes:5.1f} min {tally.busy:5.1f} busy"
                if tally.busy
                else f"{tally.minutes:5.1f} min" + 11 * " "
            )
            print(f"{'ok    ' if tally.ok else 'FAILED'}  {cost}  {tally.name:<26} {counts}".rstrip())
        print(f"        {minutes_since(self.began):5.1f} min {sum(t.busy for t in self.tallies):5.1f} busy  in all")
        for tally in self.tallies:
            for reason in tally.skipped:
                print(f"skipped in {tally.name}: {reason}")
        for note in self.notes:
            print(note)
        total = {what: sum(t.tests[what] for t in self.tallies if t.tests) for what in ("passed", "failed", "skipped")}
        failed = [t.name for t in self.tallies if not t.ok]
        if failed:
            print(f"failed: {', '.join(failed)}")
            print(f"what the tests made: {self.made_by_tests}")
        else:
            self.tidy_up()
        if any(total.values()):
            print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
        return 1 if failed else 0

    def tidy_up(self) -> None:
        """Remove what the tests made. What a container or a mount still holds stays."""
        shutil.rmtree(self.made_by_tests, ignore_errors=True)


def minutes_allowed(name: str, *, long: bool) -> int:
    """How long a suite may take. "unit 3.12" is the suite "unit", on another Python."""
    limits, otherwise = (LIMITS_LONG, OTHERWISE_LONG) if long else (LIMITS, OTHERWISE)
    return limits.get(name.split()[0], otherwise)


def minutes_since(started: float) -> float:
    return (time.monotonic() - started) / 60


def read_report(job: Job, tally: Tally) -> Tally:
    """With counts, and the reasons of what was skipped, from a JUnit file; no file means that pytest did not get that far."""
    if job.report is None:
        return tally
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    reasons: list[str] = []
    for case in ElementTree.parse(job.report).iter("testcase") if job.report.exists() else ():
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            counts["failed"] += 1
        elif "skipped" in outcomes:
            counts["skipped"] += 1
            reasons.append(next(case.iter("skipped")).get("message", ""))
        else:
            counts["passed"] += 1
    ok = tally.ok and bool(counts["passed"])
    return replace(tally, ok=ok, tests=counts, skipped=sorted(set(reasons)))


# ---------------------------------------------------------------------------------------------------- verbs


def check(session: Session) -> None:
    """Lint, types, import rules, unit tests."""
    with session.lanes() as lanes:
        begin_check(session, lanes)


def begin_check(session: Session, lanes: Lanes) -> bool:
    """Put what `check` is into lanes. False when there is no environment to run anything in."""
    if not session.step("environment", partial(environments.ready, DEVELOPMENT)):
        return False
    settings = str(ROOT / "pyproject.toml")
    ruff = DEVELOPMENT.command("ruff")
    session.run(Job("lint", [ruff, "check", str(ROOT)]))
    session.run(Job("format", [ruff, "format", "--check", str(ROOT)]))
    mypy = [str(DEVELOPMENT.python), "-m", "mypy", "--config-file", settings, "--cache-dir"]
    own = ["-p", "services", "-p", "cluster", "-m", "conftest", "-m", "scale", "-m", "suites"]
    found_in = {"MYPYPATH": f"{ROOT / 'tests'}:{ROOT / '.ci'}"}
    layers = [DEVELOPMENT.command("lint-imports"), "--config", settings, "--no-cache"]
    lanes(
        [
            Job("types", [*mypy, str(BUILD / "mypy"), "-p", "runplane"]),
            *(session.pytest(name, paths) for name, paths in halves_of_unit().items()),
            Job("types of the tests' services", [*mypy, str(BUILD / "mypy-services"), *own], found_in),
            Job("layers", layers),
        ]
    )
    return True


def test(session: Session) -> None:
    """`check`, every other folder of tests, and the other Pythons. What has to be made for them is made meanwhile."""
    others = environments.other_pythons()
    s3_gateway = built_beside("s3")
    cluster = built_beside("cluster")
    pythons: list[str] = []
    try:
        with ThreadPoolExecutor(1) as beside, session.lanes() as lanes:
            services = beside.submit(services_up, session)
            dagster = beside.submit(environments.dagster_python)
            made = {v: beside.submit(environments.ready, environments.for_python(v), p) for v, p in others.items()}
            if not begin_check(session, lanes):
                return
            session.step("services", lambda: session.environ.update(services.result()))
            session.step("a real Dagster", lambda: session.environ.update(dagster.result()))
            folders = [f for f in FOLDERS if list((ROOT / "tests" / f).rglob("test_*.py"))]
            suites = [session.pytest(folder, paths_of(folder)) for folder in folders]
            apart = [session.pytest(f"real {part}", [f"tests/real/{part}"]) for part in APART]
            lanes([*suites[:LONG], *apart, *suites[LONG:]])
            pythons += [v for v in others if session.step(f"environment {v}", made[v].result)]
            units = [session.pytest(f"unit {v}", ["tests/unit"], environments.for_python(v)) for v in pythons]
            lanes([replace(unit, variables={"RUNPLANE_FEW": "1"}) for unit in units])
    finally:
        s3_gateway.wait()
        cluster.wait()
        services_down()
    for version in pythons:
        session.step(f"demo job {version}", partial(demo.run, environments.for_python(version), demo.EXAMPLES[:1]))
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


def paths_of(folder: str) -> list[str]:
    """What of ``tests/`` a suite runs: the folder, or what of it is no suite of its own."""
    if folder != "real":
        return [f"tests/{folder}"]
    parts = sorted((ROOT / "tests" / folder).iterdir())
    return [
        f"tests/{folder}/{p.name}"
        for p in parts
        if p.name not in APART and (p.match("test_*.py") or list(p.rglob("test_*.py")))
    ]


def halves_of_unit() -> dict[str, list[str]]:
    """The unit tests as two suites. A folder that nobody has put into the second is in the first."""
    layout, folder = UNIT
    found = sorted(p.name for p in (ROOT / folder).iterdir() if not p.name.startswith(("_", "conftest")))
    first = [f"{folder}/{name}" for name in found if name not in SECOND_HALF]
    return {"unit": [layout, *first], "unit second half": [f"{folder}/{name}" for name in SECOND_HALF]}


def show(session: Session) -> None:
    """The demo, in an environment that holds the package and what it needs, nothing else."""
    made = "environment (the first time it is made from packages of PyPI, which takes about a minute)"
    if session.step(made, partial(environments.ready, environments.DEMO)):
        session.step("demo", lambda: demo.run(environments.DEMO, demo.EXAMPLES))


def bench(session: Session) -> None:
    """``bench/run.py`` beside a real Dagster: it writes ``docs/benchmarks.md``. Postgres is the tests'."""
    if not session.step("environment", partial(environments.ready, DEVELOPMENT)):
        return
    if not session.step("an environment as users have it", partial(environments.ready, environments.USERS)):
        return
    session.environ["RUNPLANE_BENCH_PYTHON"] = str(environments.USERS.python)
    session.step("a real Dagster", lambda: session.environ.update(environments.dagster_python()))
    try:
        session.step("services", lambda: session.environ.update(services_up(session)))
        session.run(Job("benchmarks", [str(DEVELOPMENT.python), "-u", str(ROOT / "bench" / "run.py")]))
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
        session.tidy_up()
        return 0  # what the demo printed last says what to do next
    return session.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
