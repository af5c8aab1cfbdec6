"""``python -m runplane.executors.template``: the program that runs the steps of a job."""

from __future__ import annotations

from .host import serve
from .job_program import load

if __name__ == "__main__":
    serve(load)
