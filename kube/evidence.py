"""What a person needs to know of a pod that died: what was seen, its last lines, the warnings about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .client import KubeClient
from .errors import KubeError
from .observed import Observed, main_status, name_of
from .printed import LOG_LINES, told_last
from .verdict import Verdict

MOST_EVENTS = 10


def explained(
    client: KubeClient, namespace: str, observed: Observed, verdict: Verdict, filtered: Callable[[str], str]
) -> str:
    """The verdict's evidence with the end of the pod's log and the warnings about pod and Job, as far as the cluster has them.

    Args:
        filtered: takes secrets out of what pods print.
    """
    parts = [verdict.evidence]
    pod = observed.live or observed.last
    about = [o["metadata"]["uid"] for o in (pod, observed.job) if o is not None and "uid" in o["metadata"]]
    warnings = [text for uid in about for text in _warnings(client, namespace, uid)]
    if warnings:
        parts.append("Events: " + "; ".join(dict.fromkeys(warnings[-MOST_EVENTS:])))
    try:
        printed = "" if pod is None else last_lines(client, namespace, pod, filtered)
    except KubeError:
        printed = ""  # a pod that is gone has no log any more
    return "\n".join([*parts, *([printed] if printed else ())])


def last_lines(client: KubeClient, namespace: str, pod: Mapping[str, Any], filtered: Callable[[str], str]) -> str:
    """The end of the pod's log, with the words before it; empty: it printed nothing.

    Raises:
        KubeError: there is no log (any more).
    """
    container = main_status(pod).get("name")
    # Filtered before it is cut: a part of a secret would not be known for one.
    text = filtered(client.pod_log(namespace, name_of(pod), container, tail_lines=LOG_LINES).rstrip())
    return told_last(text)


def _warnings(client: KubeClient, namespace: str, uid: str) -> list[str]:
    try:
        events = client.events_of(namespace, uid)
    except KubeError:
        return []  # evidence only: what was seen stands without it
    return [f"{e.get('reason')}: {e.get('message')}" for e in events if e.get("type") == "Warning"]
