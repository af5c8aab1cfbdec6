"""An audit of the Python packages that are installed here: size, files, licence, and how long each takes to import.

One step lists the distributions, one step per distribution measures it (dynamic mapping), one collects everything into an HTML page
with a chart. A package that can not be measured is a row that says why, not a failed run.

Run it::

    runplane job execute -f examples/package_audit/definitions.py
"""

from pathlib import Path

import html_report
import package_facts

from runplane import Config, Definitions, DynamicOut, DynamicOutput, OpExecutionContext, Output, job, op


class Scope(Config):
    """Which distributions are audited."""

    limit: int = 0
    """At most so many, by name; 0: all."""
    names: list[str] = []
    """Only these; none named: all."""


class Timing(Config):
    """How imports are timed."""

    import_timeout_s: float = 20.0
    """An import that takes longer is stopped, and the row says so."""


class Page(Config):
    """Where the report goes."""

    path: str = "package-audit.html"


@op(out=DynamicOut(str), description="The distributions that are installed in this environment")
def list_distributions(context: OpExecutionContext, config: Scope):
    names = package_facts.installed(config.names, config.limit)
    context.log.info(f"{len(names)} distributions to measure")
    for key, name in package_facts.mapping_keys(names).items():
        yield DynamicOutput(name, mapping_key=key)


@op(description="Size, files, licence and import time of one distribution")
def measure(context: OpExecutionContext, name: str, config: Timing) -> dict:
    row = package_facts.measure(name, config.import_timeout_s)
    if row["problem"]:
        context.log.warning(f"{name}: {row['problem']}")
    return row


@op(description="The report: an HTML page without anything from elsewhere")
def write_report(context: OpExecutionContext, rows: list, config: Page) -> Output[str]:
    path = Path(config.path).absolute()
    path.write_text(html_report.render(rows), encoding="utf-8")
    context.log.info(f"report: {path}")
    return Output(str(path), metadata={"path": str(path), "packages": len(rows)})


@job(description="Audit the Python packages that are installed here")
def package_audit():
    write_report(list_distributions().map(measure).collect())


defs = Definitions(jobs=[package_audit])
