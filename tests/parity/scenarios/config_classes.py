"""Config as classes: nested, with defaults and validators; run config as objects."""

import enum

from dagster import Config, PermissiveConfig, RunConfig, build_op_context, job, op
from pydantic import Field, field_validator


class Size(enum.Enum):
    S = "small"
    L = "large"


class Inner(Config):
    n: int = 1


class Outer(Config):
    word: str
    inner: Inner = Inner()
    many: list[Inner] = []
    named: dict[str, int] = {}
    maybe: float | None = None
    size: Size = Size.S
    positive: int = Field(default=1, ge=0)

    @field_validator("word")
    @classmethod
    def not_empty(cls, value):
        if not value:
            raise ValueError("empty")
        return value


class Loose(PermissiveConfig):
    known: int = 0


@op
def shows(config: Outer):
    return [config.word, config.inner.n, [i.n for i in config.many], config.named, config.maybe, config.size.name]


@op
def loose(config: Loose):
    return [config.known, getattr(config, "other", None)]


@op
def bare(config: int):
    return config + 1


@job
def shown():
    shows()


@job
def others():
    loose()
    bare()


def of(**config):
    return lambda: shown.execute_in_process(run_config={"ops": {"shows": {"config": config}}}).output_for_node("shows")


def scenario():
    objects = RunConfig(ops={"shows": Outer(word="o", many=[Inner(n=7)], size=Size.L)})
    both = others.execute_in_process(
        run_config={"ops": {"loose": {"config": {"known": 1, "other": "x"}}, "bare": {"config": 4}}}
    )
    return {
        "smallest": of(word="w"),
        "whole": of(word="w", inner={"n": 2}, many=[{}, {"n": 3}], named={"a": 1}, maybe=1.5, size="L"),
        "missing": of(),
        "wrong type": of(word="w", inner={"n": "x"}),
        "unknown field": of(word="w", nn=1),
        "wrong size": of(word="w", size="XL"),
        "not valid": lambda: (
            shown.execute_in_process(
                run_config={"ops": {"shows": {"config": {"word": ""}}}}, raise_on_error=False
            ).success
        ),
        "negative": lambda: (
            shown.execute_in_process(
                run_config={"ops": {"shows": {"config": {"word": "w", "positive": -1}}}}, raise_on_error=False
            ).success
        ),
        "objects": shown.execute_in_process(run_config=objects).output_for_node("shows"),
        "loose": both.output_for_node("loose"),
        "bare": both.output_for_node("bare"),
        "called": shows(Outer(word="c"))[0],
        "called with a context": bare(build_op_context(op_config=2)),
        "frozen": lambda: setattr(Outer(word="w"), "word", "x"),
    }
