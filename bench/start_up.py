"""What it costs to import the package and to ask for its version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

IMPORT = [
    Figure("wall_s", "import of the package", "s", times=15),
    Figure("cpu_s", "import of the package, CPU", "s"),
    Figure("modules", "import of the package, modules loaded", "modules"),
    Figure("peak_mib", "import of the package, memory", "MiB"),
]
NAMES = [Figure("wall_s", "import of the names of a user's file (`job`, `op`, `In`, `Out`, `Config`)", "s")]
VERSION = [Figure("wall_s", "`--version`", "s", times=11), Figure("cpu_s", "`--version`, CPU", "s")]
FLOOR = [Figure("wall_s", "floor: `python -c pass`", "s")]
COUNT = """
import json, sys
before = len(sys.modules)
import {0}
found = {{"modules": len(sys.modules) - before}}
with open("/proc/self/status") as status:
    found["peak_mib"] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps(found))
"""


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""

    def floor(side: Side, _: int) -> Mapping[str, float]:
        return {"wall_s": bench.run(side, "-c", "pass").wall_s}

    def importing(side: Side, _: int) -> Mapping[str, float]:
        done = bench.run(side, "-c", COUNT.format(side.package))
        return {"wall_s": done.wall_s, "cpu_s": done.cpu_s, **done.figures()}

    def names(side: Side, _: int) -> Mapping[str, float]:
        return {"wall_s": bench.run(side, "-c", f"from {side.package} import job, op, In, Out, Config").wall_s}

    def version(side: Side, _: int) -> Mapping[str, float]:
        done = bench.run(side, "-m", side.package, "--version")
        return {"wall_s": done.wall_s, "cpu_s": done.cpu_s}

    yield from bench.rows(FLOOR, floor, (5, 5))
    yield from bench.rows(IMPORT, importing, (9, 5))
    yield from bench.rows(NAMES, names, (9, 3))
    yield from bench.rows(VERSION, version, (9, 5))


if __name__ == "__main__":
    alone(rows)
