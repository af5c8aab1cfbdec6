"""What the process that asks and the process that imports say to each other: JSON, one line a message.

The first line says what to load; each later one is a question. Every line has one answer: ``{"ok": ...}``, ``{"problems": [...]}``
(of run config), or ``{"refused": {...}}`` (a ``RunplaneError`` with its parts). User code can not disturb this: the pipe is a
descriptor of its own, not stdout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..engine.snapshot import PlanSnapshot, StoredOutput, plan_from_body, plan_to_body
from ..errors import ConfigErrors, Problem, RunplaneError
from ..events.wire import from_text, to_text
from .contract import AssetListing, AssetsAsked, JobListing
from .target import CodeRequest, target_from_body, target_to_body

PARTS = ("message", "where", "got", "expected", "nearest", "hint")


def to_line(message: Mapping[str, Any]) -> bytes:
    """One message as a line. Raises TypeError for what JSON has no form for."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """The reverse of ``to_line``."""
    message: dict[str, Any] = json.loads(line)
    return message


def request_to_body(request: CodeRequest) -> dict[str, Any]:
    """What to load."""
    if request.target is not None:
        return {"target": target_to_body(request.target)}
    return {"pointer": to_text(request.pointer)}


def request_from_body(body: Mapping[str, Any]) -> CodeRequest:
    """The reverse of ``request_to_body``."""
    if "target" in body:
        return CodeRequest(target=target_from_body(body["target"]))
    return CodeRequest(pointer=from_text(body["pointer"]))


def listing_to_body(listing: JobListing) -> dict[str, Any]:
    """A job as it is listed."""
    return {"name": listing.name, "description": listing.description, "tags": dict(listing.tags), "ops": listing.ops}


def listing_from_body(body: Mapping[str, Any]) -> JobListing:
    """The reverse of ``listing_to_body``."""
    return JobListing(body["name"], body["description"], body["tags"], tuple(body["ops"]))


def asset_to_body(listing: AssetListing) -> dict[str, Any]:
    """An asset as it is listed."""
    return {**asdict(listing), "tags": dict(listing.tags)}


def asset_from_body(body: Mapping[str, Any]) -> AssetListing:
    """The reverse of ``asset_to_body``."""
    lists = {name: tuple(body[name]) for name in ("kinds", "owners", "deps", "checks")}
    return AssetListing(**{**body, **lists})


def asked_to_body(asked: AssetsAsked | None) -> list[Any] | None:
    """Which assets of a job are meant."""
    return None if asked is None else [asked.query, asked.keys, asked.check_keys]


def asked_from_body(body: list[Any] | None) -> AssetsAsked | None:
    """The reverse of ``asked_to_body``."""
    if body is None:
        return None
    query, keys, check_keys = body
    return AssetsAsked(query, *(None if found is None else tuple(found) for found in (keys, check_keys)))


def plan_answer(plan: PlanSnapshot) -> dict[str, Any]:
    """A plan."""
    return {"ok": plan_to_body(plan)}


def plan_of_answer(answer: Mapping[str, Any]) -> PlanSnapshot | list[Problem]:
    """The reverse of ``plan_answer`` and of ``refusal_answer`` for run config."""
    if "problems" in answer:
        return [Problem(**problem) for problem in answer["problems"]]
    return plan_from_body(answer["ok"])


def known_to_body(known: StoredOutput) -> list[Any]:
    """An output of an earlier run."""
    return list(known)


def known_from_body(body: list[Any]) -> StoredOutput:
    """The reverse of ``known_to_body``."""
    return StoredOutput(*body)


def refusal_answer(error: RunplaneError) -> dict[str, Any]:
    """An error whose text is for the person who asked."""
    if isinstance(error, ConfigErrors):
        return {"problems": [asdict(problem) for problem in error.problems]}
    return {"refused": {part: getattr(error, part) for part in PARTS}}
