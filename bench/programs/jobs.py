"""The jobs that are measured, as a user writes them: one file for both sides."""

import importlib
import os

flow = importlib.import_module(os.environ["BENCH_PACKAGE"])  # runplane or dagster
OPS = int(os.environ.get("BENCH_OPS", "1"))


@flow.op
def nothing():
    """Does nothing."""


@flow.op
def first():
    return 1


@flow.op
def after(value):
    return value


@flow.op
def after_two(left, right):
    return left


def wide_of(ops):
    """Ops that do not depend on each other."""

    @flow.job
    def wide():
        for i in range(ops):
            nothing.alias(f"op_{i}")()

    return wide


def chain_of(ops):
    """Each op takes the output of the one before it."""

    @flow.job
    def chain():
        value = first()
        for i in range(1, ops):
            value = after.alias(f"op_{i}")(value)

    return chain


def layered_of(ops, width=100):
    """Layers of ops, each taking the outputs of two ops of the layer before."""

    @flow.job
    def layered():
        above = [first.alias(f"op_{i}")() for i in range(width)]
        for start in range(width, ops, width):
            above = [after_two.alias(f"op_{start + i}")(above[i], above[(i + 7) % width]) for i in range(width)]

    return layered


def wide():
    """For a process that loads its job by name and is told the number of ops by the environment."""
    return wide_of(OPS)
