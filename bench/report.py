"""The page of a benchmark run."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from comparison import VERDICTS, Bench, Row, Side, shown

import runplane

HEAD = """\
# Benchmarks

Written by `bench/run.py`, which `make bench` calls ({when}): runplane {ours} beside Dagster {theirs}, each in an environment of its own
(ours with the extras celery, kubernetes and postgres), on one machine in one run,
the two taking turns. Medians. The ratio says how many times better runplane is, and most aims are ratios: absolute figures hold for this machine and this day.

| | |
|---|---|
| machine | {machine} |
| load when it began | {load} |
| Python | {python} (runplane), {their_python} (Dagster) |
| databases | SQLite {sqlite}, Postgres {postgres} |
| took | {minutes:.1f} minutes |

A row is measured by the script of `bench/` named in its section, which also runs alone: `python bench/start_up.py`. The job of a row does
nothing: what is measured is the machinery. Where a row says "CPU", it is the processor time of the process and of all that it
started; it depends less on what else the machine does.

On a real cluster: [whole runs](benchmarks-on-kubernetes.md), and [what becomes of them when something goes away](chaos-on-kubernetes.md).
"""
VERSION = "import sys, importlib.metadata as m; print(m.version('dagster'), sys.version.split()[0])"


class HasRows(Protocol):
    """A title and rows."""

    title: str
    rows: list[Row]


def page(answers: Sequence[HasRows], bench: Bench, took_s: float) -> str:
    """The page as Markdown."""
    theirs, their_python = dagster_version(bench.sides)
    parts = [
        HEAD.format(
            when=time.strftime("%Y-%m-%d", time.gmtime()),
            ours=runplane.__version__,
            theirs=theirs,
            machine=machine(),
            load=LOAD,
            python=platform.python_version(),
            their_python=their_python,
            sqlite=sqlite3.sqlite_version,
            postgres=bench.databases.version() or "(none was to be had)",
            minutes=took_s / 60,
        ),
        summary([row for one in answers for row in one.rows]),
    ]
    for one in answers:
        parts += [f"## {one.title}\n", table(one.rows)]
    return "\n".join(parts)


def summary(rows: Sequence[Row]) -> str:
    """How many aims are reached, and the rows that miss theirs."""
    aimed = [row for row in rows if row.aim]
    missed = [row for row in aimed if not row.reached]
    text = f"**{len(aimed) - len(missed)} of {len(aimed)} aims are reached.**"
    if missed:
        text += " Missed: " + "; ".join(f"{row.figure.what} ({ratio_or_value(row)})" for row in missed) + "."
    return text + "\n"


def table(rows: Sequence[Row]) -> str:
    """One section's rows."""
    lines = ["| what | runplane | Dagster | ratio | aim | |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(table_line, rows)]) + "\n"


def table_line(row: Row) -> str:
    """One row."""
    unit = row.figure.unit
    ratio = f"{row.ratio:,.1f}x" if row.ratio else ""
    last = "; ".join(text for text in (VERDICTS[row.reached], row.note.replace("|", "/")) if text)
    return f"| {row.figure.what} | {shown(row.ours, unit)} | {shown(row.theirs, unit)} | {ratio} | {row.aim} | {last} |"


def ratio_or_value(row: Row) -> str:
    """What is held against the row's aim."""
    if row.figure.times is not None and row.ratio is not None:
        return f"{row.ratio:,.1f}x of {row.aim}"
    return shown(row.ours, row.figure.unit)


def machine() -> str:
    """Processor, cores, memory."""
    info = Path("/proc/cpuinfo")
    names = (
        [text.split(":")[1].strip() for text in info.read_text().splitlines() if text.startswith("model name")]
        if info.exists()
        else []
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor() or platform.machine()}, {cores} cores, {memory:.0f} GiB, {platform.system()}"


def dagster_version(sides: Sequence[Side]) -> tuple[str, str]:
    """Of Dagster and of its Python."""
    for side in sides:
        if not side.is_ours:
            done = subprocess.run([side.python, "-c", VERSION], check=False, capture_output=True, text=True)
            if done.returncode == 0:
                version, python = done.stdout.split()
                return version, python
    return "(not there)", "-"


LOAD = f"{os.getloadavg()[0]:.1f}"
