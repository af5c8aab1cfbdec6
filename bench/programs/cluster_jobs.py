"""The jobs that are measured on a cluster, as a user writes them: one file for both sides, in their images at /bench/jobs.py."""

import importlib
import os

PACKAGE = os.environ["BENCH_PACKAGE"]  # runplane or dagster
flow = importlib.import_module(PACKAGE)
k8s = importlib.import_module("dagster_k8s" if PACKAGE == "dagster" else PACKAGE)
AFTER = {"before": flow.In(flow.Nothing)}
EXECUTORS = {"multiprocess": flow.multiprocess_executor, "k8s": k8s.k8s_job_executor}


@flow.op
def begins():
    """Does nothing."""


@flow.op(ins=AFTER)
def follows():
    """Does nothing, after another one."""


def chain():
    """Six ops, one after the other."""
    value = begins()
    for i in range(5):
        value = follows.alias(f"op_{i}")(value)


def wide():
    """One op, then ten side by side."""
    value = begins()
    for i in range(10):
        follows.alias(f"op_{i}")(value)


chain_multiprocess = flow.job(name="chain_multiprocess", executor_def=EXECUTORS["multiprocess"])(chain)
chain_k8s = flow.job(name="chain_k8s", executor_def=EXECUTORS["k8s"])(chain)
wide_multiprocess = flow.job(name="wide_multiprocess", executor_def=EXECUTORS["multiprocess"])(wide)
wide_k8s = flow.job(name="wide_k8s", executor_def=EXECUTORS["k8s"])(wide)
