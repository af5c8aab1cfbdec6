"""Outputs as pickle files under a folder.

A value is written aside, in the folder where it will stand, and appears under its name only when the attempt may still publish.
Each attempt has a name of its own, and the event of the output says which: an attempt that was replaced and wakes up later can
not put its file in the place of the one that counts.

Source: https://docs.dagster.io/api/dagster/io-managers (FilesystemIOManager): ``<base>/<run id>/<step key>/<output>[/<mapping key>]``;
an asset is kept under its key: ``<base>/<part>/<part>``, the newest in the place of the older ones.
"""

from __future__ import annotations

import os
import pickle
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config.pointer import ClassPointer, load_class
from ..definitions.config_schema import Field, StringSource
from ..definitions.io_manager import InputContext, IOManager, IOManagerDefinition, OutputContext
from ..definitions.resources import InitResourceContext, ResourceDefinition
from ..engine.snapshot import DATABASE, OUTPUTS_TAG
from ..errors.base import NotFoundError, RunplaneError
from .database import (
    NOT_PICKLABLE,
    PICKLE_PROTOCOL,
    DatabaseOutputs,
    is_in_database,
    load_from_database,
    not_picklable,
)


class PickleFiles(IOManager):
    """Keeps each output as a pickle file under `base`."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Write the value to its file.

        Raises:
            FencedError: another attempt took the step over; nothing is published.
            RunplaneError: the value can not be pickled.
        """
        public = self._path(context.get_asset_identifier() if context.has_asset_key else context.get_identifier())
        own = public if context.attempt == 1 else public.with_name(f"{public.name}.attempt-{context.attempt}")
        own.parent.mkdir(parents=True, exist_ok=True)
        aside = _write_aside(own, obj, context)
        try:
            context.ensure_current()
            os.replace(aside, own)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        if own != public:
            _point(public, own)
        context.record_location(path=str(own))
        context.add_output_metadata({"path": own})

    def load_input(self, context: InputContext) -> Any:
        """Read the value of the upstream output: from where its event says it is kept, else from where it would be.

        Raises:
            NotFoundError: there is no such file.
        """
        upstream = context.upstream_output
        if is_in_database(upstream):
            return load_from_database(context)
        recorded = (upstream.location or {}).get("path") if upstream is not None else None
        path = Path(recorded) if recorded else self._path(_identifier(context))
        context.add_input_metadata({"path": path})
        try:
            with path.open("rb") as file:
                return pickle.load(file)
        except FileNotFoundError:
            raise NotFoundError(
                f"the value of the input '{context.name}' is not there",
                got=f"no file {path}",
                hint="Was it made on another machine? Steps on several machines need an IO manager that all of them reach.",
            ) from None

    def _path(self, identifier: Sequence[str]) -> Path:
        return self.base.joinpath(*identifier)


def _identifier(context: InputContext) -> Sequence[str]:
    return context.get_asset_identifier() if context.has_asset_key else context.get_identifier()


def _write_aside(own: Path, obj: Any, context: OutputContext) -> Path:
    aside = own.with_name(f".{own.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with aside.open("xb") as file:
            pickle.dump(obj, file, protocol=PICKLE_PROTOCOL)
    except NOT_PICKLABLE as error:
        aside.unlink(missing_ok=True)
        raise not_picklable(context, obj, error) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _point(public: Path, own: Path) -> None:
    """Let the name that people look for be the attempt's file too: a link, or a copy where the file system has no links."""
    aside = public.with_name(f".{own.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        os.link(own, aside)
    except OSError:
        shutil.copyfile(own, aside)
    os.replace(aside, public)


def _make_default(context: InitResourceContext) -> IOManager:
    chosen = (context.resource_config or {}).get("base_dir")
    if chosen is None and context.run is not None and context.run.tags.get(OUTPUTS_TAG) == DATABASE:
        return DatabaseOutputs(_make(context))
    return _make(context)


def _make(context: InitResourceContext) -> IOManager:
    config = context.resource_config or {}
    base = config.get("base_dir") or context.storage_dir
    if base is None:
        raise RunplaneError(
            "an IO manager that keeps files has no folder.", expected="base_dir in its config, or a run that has a home"
        )
    if "://" not in str(base):
        return PickleFiles(Path(base))
    # Loaded only where it is used: a path of this machine needs no further package.
    pointer = ClassPointer(f"{__package__}.upath", "PickleUPaths")
    at_url: IOManager = load_class(pointer, where="outputs at a URL")(str(base))
    return at_url


_CONFIG = Field({"base_dir": Field(StringSource, is_required=False)}, is_required=False, default_value={})
fs_io_manager = IOManagerDefinition(
    _make,
    keeps_files=True,
    config_schema=_CONFIG,
    description="Keeps outputs as pickle files, by default under the storage folder of the home; base_dir may be a URL.",
)
default_io_manager = IOManagerDefinition(
    _make_default,
    config_schema=_CONFIG,
    description="Where no IO manager was chosen: files, or the database of runs where the run's pods share no folder.",
)


class FilesystemIOManager:
    """``fs_io_manager`` with its folder given where it is used: ``{"io_manager": FilesystemIOManager(base_dir="...")}``.

    Args:
        base_dir: the folder, or a URL that fsspec knows (``s3://bucket/folder``); None: the storage folder of the home.
    """

    def __init__(self, *, base_dir: str | None = None) -> None:
        self.base_dir = base_dir

    def runplane_resource_definition(self) -> ResourceDefinition:
        """What makes it."""
        return fs_io_manager.configured({} if self.base_dir is None else {"base_dir": self.base_dir})
