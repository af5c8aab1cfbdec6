"""``execute_job`` with steps that write to the log themselves: their outcomes are read there, though nothing says that their processes have ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
from runplane import DagsterInstance, execute_job, job, op, reconstructable
from runplane.testing import step_workers


@op
def one():
    return 1


@op
def plus_one(value):
    return value + 1


@job(executor_def=step_workers.step_worker_executor)
def chain():
    plus_one(one())


if __name__ == "__main__":
    import followed_chain

    step_workers.LOOK_S = 3600.0
    with DagsterInstance.from_home(".") as instance:
        result = execute_job(reconstructable(followed_chain.chain), instance=instance)
        print(result.success, result.output_for_node("plus_one"))
"""


def test_a_run_here_follows_the_log_of_its_steps(tmp_path: Path) -> None:
    (tmp_path / "followed_chain.py").write_text(CODE, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "followed_chain.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )

    assert done.stdout.split() == ["True", "2"], done.stderr
