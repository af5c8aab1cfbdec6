"""`make demo`: the examples as a user would run them, with the embedded default in a home under build/.

Started from another directory than the clone, where `config` or `events` would be importable as top-level modules.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from environments import BUILD, ROOT, Environment, Failed

HOME = BUILD / "demo-home"


@dataclass(frozen=True)
class Example:
    """A folder of examples/ and the job in its ``definitions.py`` that shows it."""

    folder: str
    job: str

    @property
    def definitions(self) -> Path:
        return ROOT / "examples" / self.folder / "definitions.py"

    def is_there(self) -> bool:
        return self.definitions.is_file()


EXAMPLES = (
    Example("process_numbers", "process_numbers"),
    Example("package_audit", "package_audit"),
    Example("package_assets", "package_assets"),
)


def run(environment: Environment, examples: tuple[Example, ...]) -> None:
    """Run the examples one after the other.

    Raises:
        Failed: a job did not succeed.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    elsewhere = BUILD / "work"
    elsewhere.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "DAGSTER_HOME": str(HOME)}
    environ.pop("PYTHONPATH", None)
    for example in examples:
        command = [str(environment.python), "-m", "runplane", "job", "execute"]
        command += ["-f", str(example.definitions), "-j", example.job]
        done = subprocess.run(command, check=False, cwd=elsewhere, env=environ, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed(f"{' '.join(command)} exited with {done.returncode}")
    print(f"\nThese runs are kept in {HOME}. To ask about them, here or with the commands above:\n")
    for line in next_commands(environment.folder, HOME):
        print(f"  {line}")


def next_commands(environment: Path, home: Path) -> list[str]:
    """What to type to see the runs; each line works as it stands, in whatever folder the reader is. After the first two, so do the commands
    that the runs themselves have named."""
    return [
        f"export DAGSTER_HOME={shlex.quote(str(home))}",
        f'export PATH={shlex.quote(str(environment / "bin"))}:"$PATH"',
        "runplane run list",
    ]
