"""What became of runs that met an accident on a real cluster: ``docs/chaos-on-kubernetes.md``, of the report of the tests' long version.

    RUNPLANE_LONG=1 pytest -c tests/pytest.ini --junitxml=chaos.xml tests/real/kubernetes/test_chaos_on_kubernetes.py
    python bench/chaos.py chaos.xml

``make test-long`` leaves the report in ``build/reports/real-kubernetes.xml``.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from report import machine

import runplane

PAGE = Path(__file__).resolve().parent.parent / "docs" / "chaos-on-kubernetes.md"
PROPERTY = "chaos"
HEAD = """\
# Chaos on a Kubernetes cluster

Written by `bench/chaos.py` of {reports} of `tests/real/kubernetes/test_chaos_on_kubernetes.py` ({when}): runplane {version} on one node of Kubernetes 1.34
that runs beside the test ({machine}). Each run has an accident in mid-run. It is right when it ends as it should, says why, runs nothing twice
that had succeeded, and leaves no pod: the test checks that of each row. {passed} of {tests} tests passed, each as it was run last.

*Budget* is `max_resume_run_attempts`. *Seen* is the time from the accident (of what the cluster does not give: from the launch) to the first event that says what was lost; *over* the time to the run's
end. Four to eight runs are on their way at once, their steps wait for the test until all second workers are there, and a worker is missed after 15 s: these are no figures of speed. An outage lasts
{outage} s and is in *over*, but for runs that ended before it did. After etcd and the API server were killed, Kubernetes' own controllers wait before they watch again (a back-off of up to 30 s, doubled at
most; 40 to 67 s in three runs whose Jobs were made 4 to 12 s after the API was back): until then no Job gets a pod, whoever made it. Steps that are processes do not notice.

| accident | executor | budget | end | workers | what the run's log says was lost | seen (s) | over (s) |
|---|---|---|---|---|---|---|---|
"""
OUTAGE_S = 20
LIMIT = 140
"""Characters of one saying."""


def words(said: Sequence[str]) -> str:
    """What was said, each thing once; without the names that are another run's next time."""
    short = [textwrap.shorten(_END.split(_NAMES.sub("", text), maxsplit=1)[0], LIMIT) for text in said]
    return "; ".join(dict.fromkeys(short)).replace("|", "/") or "nothing"


_NAMES = re.compile(r" (?:dagster-(?:run|step)-[\w-]+|in namespace [\w-]+)(?=[\s:.,])")
_END = re.compile(r"\. |\.?$|\n|: It printed")


def row(case: Mapping[str, Any]) -> str:
    """One line of the table."""
    seen = "" if case["seen_after_s"] is None else f"{case['seen_after_s']:.0f}"
    told = [case["accident"], case["executor"], case["resumes"], case["end"], case["workers"], words(case["seen"])]
    return f"| {' | '.join(map(str, told))} | {seen} | {case['over_after_s']:.0f} |"


def page(reports: Sequence[ElementTree.ElementTree[Any]]) -> str:
    """The page as Markdown. Of what is in several reports the last one counts."""
    cases, passed = {}, {}
    for report in reports:
        for found in report.iter("property"):
            if found.get("name") == PROPERTY:
                case = json.loads(found.get("value", ""))
                cases[case["accident"], case["executor"], case["resumes"]] = case
        for test in report.iter("testcase"):
            if "test_chaos_on_kubernetes" in test.get("classname", ""):
                passed[test.get("name")] = {child.tag for child in test}.isdisjoint({"failure", "error", "skipped"})
    head = HEAD.format(
        when=time.strftime("%Y-%m-%d", time.gmtime()),
        version=runplane.__version__,
        machine=machine(),
        passed=sum(passed.values()),
        tests=len(passed),
        reports="the report" if len(reports) == 1 else f"{len(reports)} reports",
        outage=OUTAGE_S,
    )
    return head + "".join(f"{row(case)}\n" for _, case in sorted(cases.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path, help="JUnit files, the newest last")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write")
    given = parser.parse_args()
    given.page.write_text(page([ElementTree.parse(file) for file in given.reports]))
    print(f"written: {given.page}")


if __name__ == "__main__":
    main()
