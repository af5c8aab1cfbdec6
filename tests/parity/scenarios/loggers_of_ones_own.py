"""Loggers of a job, chosen and configured in run config; the run's own log hears everything."""

import logging

from dagster import (
    Definitions,
    Field,
    build_init_logger_context,
    default_loggers,
    get_dagster_logger,
    job,
    logger,
    op,
)

HEARD = []


class Listening(logging.Handler):
    def emit(self, record):
        name, _, text = record.getMessage().rpartition(" - ")
        HEARD.append((record.levelname, text, name.endswith("says"), record.dagster_meta["step_key"]))


@logger(config_schema={"level": Field(str, default_value="INFO")}, description="hears")
def mine(context):
    made = logging.Logger("mine", level=context.logger_config["level"])
    made.addHandler(Listening())
    return made


@op
def says(context):
    context.log.debug("d")
    context.log.info("i %s", 1)
    context.log.error("e")
    get_dagster_logger().warning("from anywhere")


@job(logger_defs={"mine": mine})
def heard():
    says()


@job
def plain():
    says()


defs = Definitions(jobs=[plain], loggers={"mine": mine})


def run(target, loggers=None):
    HEARD.clear()
    result = target.execute_in_process(run_config={"loggers": loggers} if loggers else None)
    return result.success, list(HEARD)


def scenario():
    context = build_init_logger_context(logger_config={"level": "ERROR"})
    return {
        "chosen": run(heard, {"mine": {}})[0],
        "lines": [h for h in run(heard, {"mine": {}})[1] if h[3] == "says" and h[2]],
        "errors only": run(heard, {"mine": {"config": {"level": "ERROR"}}}),
        "not chosen": run(heard),
        "of definitions": len(run(defs.get_job_def("plain"), {"mine": {"config": {"level": "ERROR"}}})[1]),
        "console is not there": lambda: run(heard, {"console": {}}),
        "unknown": lambda: run(heard, {"yours": {}}),
        "bad config": lambda: run(heard, {"mine": {"config": {"level": 3}}}),
        "console": run(plain, {"console": {"config": {"log_level": "ERROR", "name": "n"}}})[0],
        "made in a test": mine(context).level,
        "description": mine.description,
        "default": sorted(default_loggers()),
        "names": [get_dagster_logger().name, get_dagster_logger("x").name],
    }
