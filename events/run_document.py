"""The stored form of a run: what the columns of its row do not hold, as a document of kind ``run``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import DocumentError
from ..serdes.documents import DocumentKind, Documents
from .origin import JobOrigin
from .run import Run
from .wire import from_text, to_text

_FIELDS = frozenset({"origin", "run_config", "op_selection", "step_keys", "asset_selection", "asset_check_selection"})


def _encode(run: Run) -> dict[str, Any]:
    body: dict[str, Any] = {"run_config": dict(run.run_config)}
    if run.origin is not None:
        body["origin"] = to_text(run.origin)
    for name, names in (
        ("op_selection", run.op_selection),
        ("step_keys", run.step_keys),
        ("asset_selection", run.asset_selection),
        ("asset_check_selection", run.asset_check_selection),
    ):
        if names is not None:
            body[name] = list(names)
    return body


def _decode(body: Mapping[str, Any]) -> Run:
    origin = from_text(body["origin"]) if "origin" in body else None
    if origin is not None and not isinstance(origin, JobOrigin):
        raise DocumentError("the run's origin is not one", got=type(origin).__name__, expected="JobOrigin")
    return Run(
        run_id="",
        job_name="",
        origin=origin,
        run_config=body["run_config"],
        op_selection=_names(body.get("op_selection")),
        step_keys=_names(body.get("step_keys")),
        asset_selection=_names(body.get("asset_selection")),
        asset_check_selection=_names(body.get("asset_check_selection")),
    )


def _names(found: Any) -> tuple[str, ...] | None:
    return None if found is None else tuple(found)


RUN_DOCUMENTS = Documents()
RUN_DOCUMENT: DocumentKind[Run] = RUN_DOCUMENTS.add(DocumentKind("run", (1, 0), _encode, _decode, _FIELDS))


def run_to_document(run: Run) -> str:
    """The stored text of what the columns do not hold."""
    return RUN_DOCUMENTS.write(RUN_DOCUMENT, run)


def run_from_document(text: str, columns: Run) -> Run:
    """The run: `columns` with what the document adds.

    Raises:
        DocumentError: the text is damaged or a newer major wrote it.
    """
    held = RUN_DOCUMENTS.read(text, RUN_DOCUMENT).value
    return replace(
        columns,
        origin=held.origin,
        run_config=held.run_config,
        op_selection=held.op_selection,
        step_keys=held.step_keys,
        asset_selection=held.asset_selection,
        asset_check_selection=held.asset_check_selection,
    )
