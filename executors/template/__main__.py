"""``python -m runplane.executors.template``: the program that runs the steps of a job."""

from __future__ import annotations

from ..collector import resting

if __name__ == "__main__":
    with resting():
        from .host import serve
        from .job_program import load
    serve(load)
