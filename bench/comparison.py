"""What is compared and how: figures, the two sides, and medians of runs that take turns.

Each question of this folder asks for some `Figure`s and gives a function that measures them once on one side. Both sides run
the programs in ``programs/`` by an interpreter of their own: ours the one that ``RUNPLANE_BENCH_PYTHON`` names (else the one that runs
this), Dagster's the one that ``RUNPLANE_DAGSTER_PYTHON`` names. Without that our side is measured alone.

An environment for development has what users' have not: redis, for one, loads OpenTelemetry where it is, which is half of its import.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from databases import Databases

PROGRAMS = Path(__file__).resolve().parent / "programs"
OURS_ENV = "RUNPLANE_BENCH_PYTHON"
DAGSTER_ENV = "RUNPLANE_DAGSTER_PYTHON"
LONGEST_S = 400
"""A program that takes longer is ended; its row says so."""


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        key: the name under which a program gives it.
        what: for people.
        unit: of both sides and of the aim: s, ms, us, MiB, B, /s, modules, or empty.
        times: how many times better than Dagster's our side is to be: an aim that holds on any machine.
        aim: what our side is to reach where there is nothing to compare with, or where it does not depend on the machine.
        more_is_better: a rate.
        ours_only: Dagster has nothing to compare with.
    """

    key: str
    what: str
    unit: str
    _: KW_ONLY
    times: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    ours_only: bool = False


@dataclass(frozen=True)
class Row:
    """A figure as measured: medians, and what there is to say. `note` tells why a side has no value."""

    figure: Figure
    ours: float | None
    theirs: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better our side is."""
        if not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.figure.more_is_better else self.theirs / self.ours

    @property
    def aim(self) -> str:
        """In words; empty when there is none."""
        if self.figure.times is not None:
            return f"{self.figure.times:g}x"
        if self.figure.aim is None:
            return ""
        return f"{'>=' if self.figure.more_is_better else '<='} {shown(self.figure.aim, self.figure.unit)}"

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None when there is none, or nothing to compare with."""
        if self.figure.times is not None:
            return None if self.ratio is None else self.ratio >= self.figure.times
        if self.figure.aim is None:
            return None
        if self.ours is None:
            return False
        return self.ours >= self.figure.aim if self.figure.more_is_better else self.ours <= self.figure.aim


@dataclass(frozen=True)
class Side:
    """One of the two: `package` is ``runplane`` or ``dagster``, `python` its interpreter."""

    package: str
    python: str

    @property
    def is_ours(self) -> bool:
        return self.package == "runplane"


@dataclass(frozen=True)
class Finished:
    """A program that ended well.

    Attributes:
        wall_s: from its start to its end. cpu_s: of it and of all processes that it waited for.
        peak_mib: the most memory that the process itself held.
        printed: its standard output.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    printed: str

    def figures(self) -> dict[str, float]:
        """The JSON object of its last line."""
        found: dict[str, float] = json.loads(self.printed.strip().splitlines()[-1])
        return found


class ProgramError(Exception):
    """A program of ours or of Dagster's ended badly. The message ends with the last line that it wrote."""


def both_sides() -> list[Side]:
    """Ours, and Dagster's where it is there."""
    sides = [Side("runplane", os.environ.get(OURS_ENV, sys.executable))]
    dagster = os.environ.get(DAGSTER_ENV)
    return [*sides, Side("dagster", dagster)] if dagster else sides


Measure = Callable[[Side, int], Mapping[str, float]]
"""Measure once: the side, and which repetition this is (from 0)."""


@dataclass
class Bench:
    """What the questions are given.

    Attributes:
        folder: where homes are made.
        databases: fresh Postgres databases.
        until: when the whole run is to be over (``time.monotonic()``); what would start later is left out.
    """

    folder: Path
    databases: Databases
    until: float
    sides: Sequence[Side] = field(default_factory=both_sides)

    def rows(self, figures: Sequence[Figure], measure: Measure, times: tuple[int, int] = (5, 3)) -> Iterator[Row]:
        """Measure figures that are had together.

        Args:
            times: how often our side is measured, and how often Dagster's. The two take turns.
        """
        alone = all(f.ours_only for f in figures)
        found: dict[Side, list[Mapping[str, float]]] = {side: [] for side in self.sides}
        failed: dict[Side, str] = {}
        for turn in range(max(times)):
            for side, most in zip(self.sides, times, strict=False):
                if turn >= most or side in failed or (alone and not side.is_ours):
                    continue
                if time.monotonic() > self.until and not found[side]:
                    failed[side] = "left out: the time was over"
                elif time.monotonic() <= self.until:
                    try:
                        found[side].append(measure(side, turn))
                    except Exception as e:  # noqa: BLE001 - whatever stops a measurement is said in its rows
                        failed[side] = " ".join(f"{type(e).__name__}: {e}".split())[:200]
        for figure in figures:
            values = [median_of(found[side], figure.key) for side in self.sides]
            note = "; ".join(f"{side.package}: {why}" for side, why in failed.items())
            yield Row(figure, values[0], values[1] if len(values) > 1 and not figure.ours_only else None, note)

    def run(self, side: Side, *words: str, home: Path | None = None, **variables: str) -> Finished:
        """Run the side's Python with these words, in the folder of the programs, on a home.

        Raises:
            ProgramError: it did not end with 0, or took longer than ``LONGEST_S``.
        """
        environ = {**os.environ, "BENCH_PACKAGE": side.package, **variables}
        if not side.is_ours:
            environ.pop("PYTHONPATH", None)
        environ.pop("DAGSTER_HOME", None)
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a start that compiles its sources is not what is asked for
        if home is not None:
            environ["DAGSTER_HOME"] = str(home)
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            began = time.perf_counter()
            process = subprocess.Popen(
                [side.python, *words], cwd=PROGRAMS, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )
            peak = _Peak(process.pid)
            code, cpu_s = _wait(process)
            wall_s = time.perf_counter() - began
            output.seek(0)
            errors.seek(0)
            if code == -signal.SIGKILL:
                raise ProgramError(f"{' '.join(words[:3])[:80]} took longer than {LONGEST_S} s")
            if code != 0:
                last = (errors.read().strip() or output.read().strip() or "it said nothing").splitlines()[-1]
                raise ProgramError(f"{' '.join(words[:3])[:80]} ended with {code}: {last[:160]}")
            return Finished(wall_s, cpu_s, peak.mib(), output.read())

    @contextmanager
    def home(self, storage: str) -> Iterator[Path]:
        """A fresh home that keeps runs in ``sqlite`` or ``postgres``; the same file for both sides."""
        home = Path(tempfile.mkdtemp(dir=self.folder))
        text = "telemetry: {enabled: false}\n"
        url = self.databases.make() if storage == "postgres" else None
        if url:
            text += f"storage: {{postgres: {{postgres_url: '{url}'}}}}\n"
        (home / "dagster.yaml").write_text(text)
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)
            if url:
                self.databases.drop(url)


def median_of(found: Iterable[Mapping[str, float]], key: str) -> float | None:
    """The median of one figure; None when it was never measured."""
    values = [one[key] for one in found if key in one]
    return statistics.median(values) if values else None


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Exit code and CPU seconds of a process and of what it waited for. It is ended after ``LONGEST_S``."""
    limit = threading.Timer(LONGEST_S, process.kill)
    limit.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        limit.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for: `Popen` need not
    return process.returncode, usage.ru_utime + usage.ru_stime


class _Peak:
    """Watches how much memory a process has held. (What ``wait4`` tells is the most of it and of all its children.)"""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/status")
        self._kib = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def mib(self) -> float:
        """What was seen, once the process has ended."""
        self._thread.join()
        return self._kib / 1024

    def _watch(self) -> None:
        with suppress(OSError):
            while True:
                lines = [line for line in self._file.read_text().splitlines() if line.startswith("VmHWM")]
                if not lines:
                    return
                self._kib = max(self._kib, int(lines[0].split()[1]))
                time.sleep(0.02)


# ------------------------------------------------------------------------------------------------------ one question alone


def line(row: Row) -> str:
    """A row as one line of text."""
    ratio = f"  {row.ratio:,.1f}x" if row.ratio else ""
    aim = f"  aim {row.aim}: {VERDICTS[row.reached]}" if row.aim else ""
    note = f"  ({row.note})" if row.note else ""
    return f"{row.figure.what}: {shown(row.ours, row.figure.unit)}, Dagster {shown(row.theirs, row.figure.unit)}{ratio}{aim}{note}"


VERDICTS = {True: "reached", False: "missed", None: ""}


def shown(value: float | None, unit: str) -> str:
    """A value with three figures and its unit."""
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    text = f"{value:,.{digits}f}" if unit not in ("B", "modules") else f"{value:,.0f}"
    return f"{text} {unit}".strip()


def alone(question: Callable[[Bench], Iterator[Row]]) -> None:
    """Ask one question and print its rows: the main program of each script of this folder."""
    with tempfile.TemporaryDirectory(prefix="runplane-bench-") as folder, Databases() as databases:
        for row in question(Bench(Path(folder), databases, time.monotonic() + 1800)):
            print(line(row), flush=True)
