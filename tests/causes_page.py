"""Prints ``docs/reference/causes.md`` from the table in ``kube/causes.py``: ``python tests/causes_page.py`` writes it, a test
compares it.
"""

from __future__ import annotations

from pathlib import Path

from runplane.events.causes import OWN_BUDGETS, WITHOUT_RETRY, FailureCause
from runplane.kube.causes import ROWS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "causes.md"
HEAD = """# What is seen of a Job, and what follows

Printed from `kube/causes.py` by `python tests/causes_page.py`; a test holds the two together. The first row that fits counts.
What is seen is in Kubernetes' own words: conditions, reasons, exit codes of the worker's container (the first one of the pod).

- *alive*: its outcome comes through the database; the cluster is not asked for it.
- *not yet*: it has not started, and waiting may help.
- *never*: it can not start, and waiting does not help.
- *ending*: told to end, or failed as far as the Job goes, while a pod of it may still run code. Nothing is decided before the pod is gone.
- *gone*: nothing of it runs, and nothing will. A consistent read confirms that before the attempt is sealed; an outcome that was stored
  meanwhile counts.
- *unknown*: the cluster does not tell. Nothing follows from it.
"""
BUDGETS = """
## Budgets

What the user's code can not help costs nothing of its retry policy. Each of these causes is made good so many times in one step; the
next one fails it.
"""


def printed() -> str:
    """The whole page."""
    lines = [HEAD, "| row | what is seen | verdict | counted as | what is done |", "|---|---|---|---|---|"]
    for row in ROWS:
        cause = f"`{row.cause}`" if row.cause else ""
        lines.append(f"| {row.name} | {row.seen} | {row.health} | {cause} | {row.then} |")
    lines += [BUDGETS, "| cause | times |", "|---|---|"]
    lines += [f"| `{cause}` | {times} |" for cause, times in OWN_BUDGETS.items()]
    never = ", ".join(f"`{c}`" for c in FailureCause if c in WITHOUT_RETRY)
    lines += ["", f"Never tried again: {never}. All other causes are paid for by the op's retry policy.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(printed(), encoding="utf-8")
