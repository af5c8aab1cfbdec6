"""What an event of a run says beyond its kind and its step, as user code sees it. Loaded for a result that is looked at; no step needs it.

What a kind's data holds is read from the same forms that events are exported with, so that an attribute here and a field there never differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..events.asset_key import AssetKey
from ..events.dagster_assets import FORMS
from ..events.event import Event
from ..events.messages import default_message
from .expectation_result import ExpectationResult
from .metadata_values import value_of, values_of


def message_of(event: Event, job_name: str) -> str | None:
    """What the event of a run of `job_name` says."""
    said: str | None = event.body.get("message")
    return said if said is not None else default_message(event.kind, job_name, event.step, event.n, event.body)


def data_of(event: Event) -> EventData | None:
    """What its kind says beyond the message; None when nothing is."""
    form = FORMS.get(event.kind)
    if form is None:
        data = event.body.get("data")
        return EventData(data) if isinstance(data, Mapping) else None
    fields = form.write(event.body, event.step)
    return None if fields is None else EventData({"__class__": form.stored, **fields})


def expectation_of(event: Event) -> ExpectationResult:
    """What an op said when it had tested its data."""
    body = event.body
    return ExpectationResult(body["success"], body["label"], body["description"], values_of(body["metadata"]))


class EventData:
    """The data of an event: attributes by Dagster's names. Metadata is a mapping from label to value."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name in ("output_name", "mapping_key") and "step_output_handle" in self._fields:
            return self._fields["step_output_handle"][name]
        if name == "metadata" and "metadata_entries" in self._fields:
            return {e["label"]: value_of(e["entry_data"]) for e in self._fields["metadata_entries"]}
        try:
            return _shown(self._fields[name])
        except KeyError:
            raise AttributeError(f"{self._fields.get('__class__', 'the data')} has no {name!r}") from None

    def __dir__(self) -> Iterable[str]:
        return [name for name in self._fields if name != "__class__"]

    def __repr__(self) -> str:
        said = ", ".join(f"{k}={_shown(v)!r}" for k, v in self._fields.items() if k != "__class__")
        return f"{self._fields.get('__class__', 'data')}({said})"


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("__class__") == "AssetKey":
            return AssetKey(value["path"])
        return EventData(value) if "__class__" in value else value
    return [_shown(v) for v in value] if isinstance(value, list) else value
