"""Writes ``models.json`` anew from the installed `kubernetes` client: ``python -m runplane.kube.schema.generate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kubernetes

DATA = Path(__file__).with_name("models.json")
ROOT = "V1Job"
_NAMES = re.compile(r"\b\w*V\d\w*")


def text() -> str:
    """The file's text: each model that a V1Job may hold, a line each; ``snake_case`` -> [``camelCase``, type]."""
    found: dict[str, dict[str, list[str]]] = {}
    waiting = [ROOT]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _fields(name)
        waiting += [inner for _, kind in found[name].values() for inner in _NAMES.findall(kind)]
    lines = [f"{json.dumps(name)}:{json.dumps(found[name], separators=(',', ':'))}" for name in sorted(found)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _fields(name: str) -> dict[str, list[str]]:
    cls = getattr(kubernetes.client, name)
    camel = cls.attribute_map
    return {snake.lstrip("_"): [camel[snake], kind] for snake, kind in sorted(cls.openapi_types.items())}


if __name__ == "__main__":
    DATA.write_text(text(), encoding="utf-8")
