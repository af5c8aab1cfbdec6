"""Outputs in the database of runs: for pods that share nothing else.

The value is pickled and travels with the output's event; whoever writes the event stores the value first, under the same fence
(docs/decisions/0014-outputs-in-the-database.md). How large it may be is bounded: a database is no place for data sets.
"""

from __future__ import annotations

import pickle
from typing import Any

from ..definitions.io_manager import InputContext, IOManager, OutputContext
from ..engine.snapshot import IN_DATABASE
from ..errors.base import NotFoundError, RunplaneError

PICKLE_PROTOCOL = 4
NOT_PICKLABLE = (pickle.PicklingError, AttributeError, TypeError, RecursionError)
"""What pickle raises for a value that it can not take."""
MOST_BYTES = 16 * 1024 * 1024
"""How large a pickle may be."""
OTHER_WAYS = (
    "Keep outputs in S3 (resources={'io_manager': FilesystemIOManager(base_dir='s3://bucket/folder')}), or mount a volume that all"
    " pods share at the instance's storage folder."
)


class DatabaseOutputs(IOManager):
    """Hands each output to storage, as a pickle.

    Args:
        files: loads what is kept in files: outputs of a run that was not in pods, assets.
    """

    def __init__(self, files: IOManager) -> None:
        self._files = files

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Hand the value over; it is stored with the output's event.

        Raises:
            FencedError: another attempt took the step over.
            RunplaneError: the value can not be pickled, or is too large.
        """
        data = _pickle(context, obj)
        context.ensure_current()
        context.keep_value(data)
        context.add_output_metadata({"kept in": "the database of runs", "bytes": len(data)})

    def load_input(self, context: InputContext) -> Any:
        """The value of the upstream output, from where its event says it is kept; of an asset that no step of this run makes, the newest.

        Raises:
            NotFoundError: it is not there.
        """
        upstream = context.upstream_output
        if is_in_database(upstream) or (upstream is not None and upstream.location is None):
            return load_from_database(context)
        return self._files.load_input(context)


def is_in_database(output: OutputContext | None) -> bool:
    """Whether an output's event says that storage keeps its value."""
    return output is not None and IN_DATABASE in (output.location or {})


def load_from_database(context: InputContext) -> Any:
    """The value of the upstream output, which storage keeps.

    Raises:
        NotFoundError: it is not there.
    """
    upstream = context.upstream_output
    data = upstream.read_value() if upstream is not None else None
    if data is None:
        of_asset = context.has_asset_key and (upstream is None or upstream.location is None)
        what = (
            f"no run that is still there made asset {context.asset_key.to_user_string()}"
            if of_asset
            else "none of a success"
        )
        raise NotFoundError(
            f"the value of the input '{context.name}' is not in the database of runs",
            got=what,
            hint="It goes with the run that made it. Was that run deleted, or did it keep its outputs elsewhere?",
        )
    return pickle.loads(data)  # noqa: S301 - who may write to the database of runs may have code run anyway


def not_picklable(context: OutputContext, obj: Any, error: Exception) -> RunplaneError:
    """The error that names the output and the value's type."""
    return RunplaneError(
        f"the output '{context.name}' of step '{context.step_key}' can not be pickled: {error}.",
        got=type(obj).__name__,
        hint="Return a value that can be, or give the output an IO manager that can keep it.",
    )


def _pickle(context: OutputContext, obj: Any) -> bytes:
    bounded = _Bounded()
    try:
        pickle.Pickler(bounded, PICKLE_PROTOCOL).dump(obj)
    except NOT_PICKLABLE as error:
        raise not_picklable(context, obj, error) from error
    except _TooLargeError:
        raise RunplaneError(
            f"the output '{context.name}' of step '{context.step_key}' is too large for the database of runs",
            got=f"a {type(obj).__name__} of more than {MOST_BYTES // 1024 // 1024} MiB",
            expected=f"at most {MOST_BYTES // 1024 // 1024} MiB, pickled",
            hint=OTHER_WAYS,
        ) from None
    return b"".join(bounded.parts)


class _TooLargeError(Exception):
    """More than may be."""


class _Bounded:
    """A file that takes so much and no more: nobody pickles ten gigabytes to learn that they are too many."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._left = MOST_BYTES

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._left -= size
        if self._left < 0:
            raise _TooLargeError
        self.parts.append(bytes(data))
        return size
