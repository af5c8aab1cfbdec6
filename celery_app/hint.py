"""The message of a step or of a run in a queue, and its strict reading.

It grants nothing: it says which attempt, or which run's process, to look at. What is run comes from the database, if it was put into that
queue there.
It travels as the task message of Celery's protocol 2, so that Celery's tools show it under a name.

Source: https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..serdes.record import record

STEP, RUN = "step", "run"
TASK_NAMES = {STEP: "runplane.step", RUN: "runplane.run"}
"""By what a hint is of."""
VERSION = 1
MOST_BYTES = 16 * 1024
"""A hint has some hundred bytes; what is bigger is none."""
QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_FIELDS = {"kind": str, "version": int, "instance": str, "run": str, "step": str, "attempt": int, "queue": str}
_HEADERS_REFUSED = ("eta", "expires", "group", "stamps", "stamped_headers", "replaced_task_nesting")
_EMBED = ("callbacks", "errbacks", "chain", "chord")


@record
class Hint:
    """Look at this attempt; with an empty `step`: at this run's process, `attempt` says which one."""

    instance: str
    run: str
    step: str
    attempt: int
    queue: str
    version: int = VERSION

    @property
    def kind(self) -> str:
        """What it is of: ``step`` or ``run``."""
        return STEP if self.step else RUN

    @property
    def task_name(self) -> str:
        """The name of its task."""
        return TASK_NAMES[self.kind]

    def to_kwargs(self) -> dict[str, Any]:
        """The keyword arguments of its task."""
        return {
            "kind": self.kind,
            "instance": self.instance,
            "run": self.run,
            "step": self.step,
            "attempt": self.attempt,
            "queue": self.queue,
            "version": self.version,
        }

    @property
    def task_id(self) -> str:
        """The same for each repetition."""
        return f"{self.run}.{self.step}.{self.attempt}" if self.step else f"{self.run}.{self.attempt}"


@record
class Message:
    """A message as the broker gave it, nothing of it decoded.

    Attributes:
        queue: where it was taken from.
        headers, content_type, content_encoding: of the message.
        body: as it came.
    """

    queue: str
    headers: Mapping[str, Any]
    content_type: str
    content_encoding: str
    body: bytes


@record
class Refusal:
    """A message that is not read: `why` is counted by, `detail` is for the log.

    Attributes:
        why: ``foreign`` (another's: give it back), or ``content_type``, ``too_big``, ``compressed``, ``has_more``, ``malformed``,
            ``other_version``.
        is_others: it belongs to somebody else, and must not be lost.
    """

    why: str
    detail: str = ""
    is_others: bool = False


def read(message: Message, instance: str) -> Hint | Refusal:
    """The hint that a message is, or why it is none. Nothing of it is unpickled, decompressed or called."""
    task = message.headers.get("task")
    if task not in TASK_NAMES.values():
        return Refusal("foreign", f"a message for {str(task)[:80]!r}", is_others=isinstance(task, str))
    refused = _refused_outside(message)
    if refused is not None:
        return refused
    try:
        args, kwargs, embed = json.loads(message.body)
    except (ValueError, TypeError, RecursionError):
        return Refusal("malformed", "its body is no JSON of Celery's protocol 2")
    if args or (isinstance(embed, Mapping) and any(embed.get(name) for name in _EMBED)):
        return Refusal("has_more", "arguments, or tasks that are to follow")
    return _of_kwargs(kwargs, str(task), message.queue, instance)


def _refused_outside(message: Message) -> Refusal | None:
    """What its headers say, before anything is decoded."""
    if len(message.body) > MOST_BYTES:
        return Refusal("too_big", f"{len(message.body)} bytes")
    if message.headers.get("compression"):
        return Refusal("compressed", str(message.headers["compression"])[:40])
    if (message.content_type, message.content_encoding.lower()) != ("application/json", "utf-8"):
        return Refusal("content_type", f"{message.content_type[:40]}, {message.content_encoding[:20]}")
    asked = [name for name in _HEADERS_REFUSED if message.headers.get(name)]
    return Refusal("has_more", ", ".join(asked)) if asked else None


def _of_kwargs(kwargs: Any, task: str, queue: str, instance: str) -> Hint | Refusal:
    if not isinstance(kwargs, Mapping):
        return Refusal("malformed", "no keyword arguments")
    version, kind = kwargs.get("version"), kwargs.get("kind")
    if not isinstance(kind, str) or TASK_NAMES.get(kind) != task or type(version) is not int:
        return Refusal("malformed", f"kind {str(kind)[:40]!r}")
    if version != VERSION:
        # A later worker may serve it: it is given back.
        return Refusal(
            "other_version", f"version {version}, and this worker reads {VERSION}", is_others=version > VERSION
        )
    for name, wanted in _FIELDS.items():
        if type(kwargs.get(name)) is not wanted:
            return Refusal("malformed", f"{name} is not a {wanted.__name__}")
    if kwargs["instance"] != instance:
        return Refusal("foreign", f"a hint of instance {kwargs['instance'][:40]}", is_others=True)
    if kwargs["queue"] != queue or kwargs["attempt"] < 1:
        return Refusal("malformed", f"it names queue {kwargs['queue'][:40]!r} and came by {queue!r}")
    if bool(kwargs["step"]) != (kind == STEP):
        return Refusal("malformed", f"a hint of a {kind} with step {kwargs['step'][:40]!r}")
    return Hint(**{name: kwargs[name] for name in _FIELDS if name != "kind"})
