"""Outputs at any URL that fsspec can reach: ``s3://bucket/folder``, ``memory://``, ``file:///folder``.

A value is written aside, beside its place, and comes to its place only when the attempt may still publish. On a disk that is a rename;
in an object store a copy of one object, which appears whole or not at all. Each attempt from the second on has a place of its own, and
the event of the output says which: an attempt that was replaced and wakes up later can not damage the value that counts.

universal-pathlib and the file system's package are loaded when the first such IO manager is made.
Source: https://docs.dagster.io/api/dagster/io-managers (UPathIOManager), https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import secrets
import shutil
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.pointer import ClassPointer, load_class
from ..definitions.io_manager import InputContext, IOManager, OutputContext
from ..definitions.metadata_values import PathMetadataValue
from ..errors.base import NotFoundError, UnsupportedError
from .database import NOT_PICKLABLE, PICKLE_PROTOCOL, not_picklable

if TYPE_CHECKING:
    from upath import UPath

INSTALL = "pip install 'runplane[s3]'"
S3_URLS = ("s3://", "s3a://")


class UPathIOManager(IOManager):
    """Base of IO managers that keep each output at a path: says where and when; a subclass says how, with ``dump_to_path`` and
    ``load_from_path``.

    Args:
        base_path: the folder of all outputs: a ``UPath``, or a ``Path``. None: the working directory.

    Attributes:
        extension: what the names of files end with, with its dot; None for nothing.

    Raises:
        UnsupportedError: universal-pathlib, or the package of the URL's file system, is not installed.
    """

    extension: str | None = None

    def __init__(self, base_path: UPath | Path | None = None) -> None:
        if self.extension and "." not in self.extension:
            raise ValueError(f"{type(self).__name__}.extension has no dot: {self.extension!r}")
        self._base_path: UPath = as_upath("." if base_path is None else base_path)

    # For subclasses -----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def dump_to_path(self, context: OutputContext, obj: Any, path: UPath) -> None:
        """Write the value to `path`: a file, or a folder of files."""

    @abstractmethod
    def load_from_path(self, context: InputContext, path: UPath) -> Any:
        """Read the value that ``dump_to_path`` wrote."""

    def get_metadata(self, context: OutputContext, obj: Any) -> Mapping[str, Any]:
        """More metadata for the output's event."""
        return {}

    def get_asset_relative_path(self, context: InputContext | OutputContext) -> UPath:
        """Where an asset is, below the base and without the extension: the parts of its key."""
        return as_upath(Path(*context.asset_key.path))

    def get_op_output_relative_path(self, context: InputContext | OutputContext) -> UPath:
        """Where the output of an op is, below the base and without the extension: run id, step key, name, mapping key."""
        return as_upath(Path(*context.get_identifier()))

    def get_loading_input_log_message(self, path: UPath) -> str:
        """The line of the log (level debug) when a value is read."""
        return f"Loading {path} using {type(self).__name__}"

    def get_writing_output_log_message(self, path: UPath) -> str:
        """The line of the log (level debug) when a value is written."""
        return f"Writing {path} using {type(self).__name__}"

    def make_directory(self, path: UPath) -> None:
        """Make the folder of a file. In object stores there are no folders to make."""
        path.mkdir(parents=True, exist_ok=True)

    def path_exists(self, path: UPath) -> bool:
        """Whether there is something."""
        return bool(path.exists())

    def unlink(self, path: UPath) -> None:
        """Remove a file."""
        path.unlink()

    @property
    def fs(self) -> Any:
        """The fsspec file system."""
        return self._base_path.fs

    @property
    def storage_options(self) -> dict[str, Any]:
        """What the file system was made with, for libraries that make their own from a URL."""
        return dict(self._base_path.storage_options)

    def has_output(self, context: OutputContext) -> bool:
        """Whether the output is there."""
        return self.path_exists(self._get_path(context))

    # IOManager ----------------------------------------------------------------------------------------------------------------

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep the value.

        Raises:
            FencedError: another attempt took the step over; nothing is published.
            Whatever ``dump_to_path`` raises.
        """
        public = self._get_path(context)
        own = public if context.attempt == 1 else self._beside(public, f"{{}}.attempt-{context.attempt}")
        aside = self._beside(own, f".{{}}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        self.make_directory(own.parent)
        context.log.debug(self.get_writing_output_log_message(own))
        try:
            self.dump_to_path(context, obj, aside)
            context.ensure_current()
            _put(aside, own)
        finally:
            _remove(aside)
        if own != public:
            _copy(own, public)
        context.record_location(path=str(own))
        # A None is most often that of a function that returns nothing: a path beside it would mislead.
        context.add_output_metadata(
            {**({} if obj is None else {"path": PathMetadataValue(str(own))}), **self.get_metadata(context, obj)}
        )

    def load_input(self, context: InputContext) -> Any:
        """Read the value of the upstream output: from where its event says it is kept, else from where it would be.

        Raises:
            NotFoundError: there is nothing.
            Whatever ``load_from_path`` raises.
        """
        upstream = context.upstream_output
        recorded = (upstream.location or {}).get("path") if upstream is not None else None
        path = as_upath(recorded, self._base_path) if recorded else self._get_path(context)
        context.log.debug(self.get_loading_input_log_message(path))
        try:
            return self.load_from_path(context, path)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"the value of the input '{context.name}' is not there", got=f"nothing at {path}"
            ) from error

    # Paths --------------------------------------------------------------------------------------------------------------------

    def _get_path(self, context: InputContext | OutputContext) -> UPath:
        return self._with_extension(self._get_path_without_extension(context))

    def _get_path_without_extension(self, context: InputContext | OutputContext) -> UPath:
        of_asset = context.has_asset_key
        relative = self.get_asset_relative_path if of_asset else self.get_op_output_relative_path
        parts = relative(context).parts
        return self._base_path.joinpath(*(part for part in parts if part != "/"))

    def _with_extension(self, path: UPath) -> UPath:
        return path.with_name(path.name + self.extension) if self.extension else path

    def _beside(self, path: UPath, form: str) -> UPath:
        """A path in the same folder, of another name with the same extension."""
        extension = self.extension or ""
        return path.with_name(form.format(path.name.removesuffix(extension)) + extension)


class PickleUPaths(UPathIOManager):
    """Keeps each output as a pickle at a URL.

    Args:
        base_dir: the URL of the folder.
    """

    def __init__(self, base_dir: str) -> None:
        # Without a cache of listings: other processes write there too.
        super().__init__(as_upath(base_dir, use_listings_cache=False))

    def dump_to_path(self, context: OutputContext, obj: Any, path: UPath) -> None:
        """Pickle the value. Raises RunplaneError when it can not be."""
        with path.open("wb") as file:
            try:
                pickle.dump(obj, file, protocol=PICKLE_PROTOCOL)
            except NOT_PICKLABLE as error:
                raise not_picklable(context, obj, error) from error

    def load_from_path(self, context: InputContext, path: UPath) -> Any:
        """Unpickle the value."""
        with path.open("rb") as file:
            return pickle.load(file)


class UrlOutputs:
    """Removes what runs kept at URLs."""

    def remove(self, folder: str) -> None:
        """Remove a folder with all that is in it; nothing happens when it is not there. Raises OSError when it can not be."""
        try:
            _remove(as_upath(folder, use_listings_cache=False))
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{folder} can not be removed: {error}") from error


def as_upath(path: Any, like: UPath | None = None, **options: Any) -> UPath:
    """A ``UPath`` of a URL, a path, or one already.

    Args:
        like: one whose file system and options are to be used.
        options: for the file system.

    Raises:
        UnsupportedError: a package is missing; the text has the command that installs it.
    """
    try:
        cls: Any = load_class(ClassPointer("upath", "UPath"), where="outputs at a URL")
    except NotFoundError as error:
        raise UnsupportedError(
            "outputs at a URL need the package 'universal-pathlib', which is not installed",
            hint=f"Install it: {INSTALL}",
        ) from error
    if like is not None:
        options = dict(like.storage_options)
    if str(path).startswith(S3_URLS):
        _let_obstore_serve_s3()
    made: UPath = path if isinstance(path, cls) and not options else cls(path, **options)
    try:
        made.fs  # noqa: B018 - the file system's package is imported by this
    except ImportError as error:
        command = INSTALL if made.protocol in ("s3", "s3a") else "see above"
        raise UnsupportedError(
            f"outputs at {made} need a package that is not installed: {error}", hint=f"Install it: {command}"
        ) from error
    return made


def _let_obstore_serve_s3() -> None:
    """Where s3fs is not installed and obstore is: its file system."""
    if importlib.util.find_spec("s3fs") is None and importlib.util.find_spec("obstore") is not None:
        load_class(ClassPointer("runplane.outputs.s3_files", "S3Files"), where="outputs at a URL")


def _put(aside: UPath, own: UPath) -> None:
    """Let what was written aside be at its place, at once where the store can do that."""
    if not _is_on_a_disk(aside):
        _copy(aside, own)
        return
    if own.is_dir():
        _remove(own)
    os.replace(aside.path, own.path)


def _copy(source: UPath, target: UPath) -> None:
    """File by file, by the store itself. Not ``fs.copy``, for which ``[`` in a mapped step's key is a pattern."""
    fs = source.fs
    for file in _files(source):
        name = f"{target.path}{file.removeprefix(source.path)}"
        if _is_on_a_disk(source):
            fs.makedirs(os.path.dirname(name), exist_ok=True)
            fs.cp_file(file, f"{name}.tmp")
            os.replace(f"{name}.tmp", name)
        else:
            fs.cp_file(file, name)


def _remove(path: UPath) -> None:
    for file in _files(path):
        path.fs.rm_file(file)
    if _is_on_a_disk(path) and path.is_dir():
        shutil.rmtree(path.path)


def _files(path: UPath) -> list[str]:
    if path.fs.isdir(path.path):
        return list(path.fs.find(path.path))
    return [path.path] if path.fs.exists(path.path) else []


def _is_on_a_disk(path: UPath) -> bool:
    return "file" in path.fs.protocol
