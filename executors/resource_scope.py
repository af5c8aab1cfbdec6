"""The resources of a run or of a step: opened in the order of their needs, closed in reverse."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..definitions.code_loading import load_attribute
from ..definitions.errors import DagsterResourceFunctionError
from ..definitions.ins_outs import DEFAULT_IO_MANAGER
from ..definitions.job import JobDefinition
from ..definitions.resources import (
    InitResourceContext,
    ResourceDefinition,
    Resources,
    in_order_of_need,
    resource_definition,
)
from ..definitions.run_config import ResolvedRunConfig
from ..definitions.user_errors import error_info
from ..errors import ConfigErrors
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.messages import duration as in_words
from ..events.origin import ModuleCodePointer
from ..events.run import Run
from ..outputs.filesystem import default_io_manager
from ..outputs.memory import mem_io_manager
from ..plan.compile import config_of_run

Emit = Callable[[NewEvent], None]


class ResourceScope:
    """Opens resources once and keeps them until it is closed.

    Args:
        job: the job whose resources these are.
        run: the run.
        home: the instance's folder.
        instance: the instance that resources see, or None.
        env: variables for ``{"env": NAME}``; None: the process' environment.
        config: the run's config where it has been read already, else None.
    """

    def __init__(
        self,
        job: JobDefinition,
        run: Run,
        home: Path,
        *,
        instance: Any = None,
        env: Mapping[str, str] | None = None,
        config: ResolvedRunConfig | None = None,
    ) -> None:
        self.job = job
        self.run = run
        self.home = home
        self.instance = instance
        self._env = os.environ if env is None else env
        self._config = config
        self._open: dict[str, Any] = {}
        self._definitions: dict[str, ResourceDefinition] = {}
        self._stack = ExitStack()

    @property
    def config(self) -> ResolvedRunConfig:
        """The run's config, environment sources replaced. Read once.

        Raises:
            ConfigErrors: it is not right, or a variable is not set.
        """
        if self._config is None:
            self._config = config_of_run(self.job, self.run, self._env)
        return self._config

    def open(self, keys: Sequence[str], emit: Emit, log: logging.Logger, *, step: str | None, n: int | None) -> None:
        """Open those of `keys` that are not open yet, and tell by events.

        Args:
            keys: resource keys, those that they need included.
            step, n: the attempt the events belong to; None when the resources are the run's.

        Raises:
            DagsterResourceFunctionError: one could not be made; the user's exception is the cause.
            ConfigErrors: the run's config is not right.
        """
        wanted = [key for key in keys if key not in self._open]
        if not wanted:
            return

        def tell(kind: EventKind, message: str, **details: Any) -> None:
            emit(NewEvent(kind.value, step, n, {"message": message, **details}, time.time()))

        started = f"Starting initialization of resources [{', '.join(wanted)}]."
        tell(EventKind.RESOURCE_INIT_STARTED, started, marker_start="resources")
        made: dict[str, Any] = {}
        try:
            for key in in_order_of_need(wanted, self.definition):
                began = time.perf_counter()
                self._open[key] = self._make(key, log)
                made[key] = f"{type(self._open[key]).__module__}.{type(self._open[key]).__qualname__}"
                made[f"{key}:init_time"] = in_words(1000 * (time.perf_counter() - began))
        except BaseException as error:
            shown = error.__cause__ if isinstance(error, DagsterResourceFunctionError) and error.__cause__ else error
            failed = f"Initialization of resources [{', '.join(wanted)}] failed."
            tell(EventKind.RESOURCE_INIT_FAILURE, failed, error=error_info(shown).to_body(), marker_end="resources")
            raise
        done = f"Finished initialization of resources [{', '.join(wanted)}]."
        tell(EventKind.RESOURCE_INIT_SUCCESS, done, metadata=made, marker_end="resources")

    def is_open(self, key: str) -> bool:
        """Whether the resource is open."""
        return key in self._open

    def __getitem__(self, key: str) -> Any:
        """The open resource."""
        return self._open[key]

    def view(self, keys: Sequence[str] | frozenset[str]) -> Resources:
        """These of the open resources, as user code sees them."""
        return Resources({key: self._open[key] for key in keys})

    def definition(self, key: str) -> ResourceDefinition:
        """The definition under `key`; for the IO manager that nobody gave, the default one."""
        if key not in self._definitions:
            given = self.job.resource_defs.get(key)
            self._definitions[key] = given if given is not None else self._default_io_manager()
        return self._definitions[key]

    def _default_io_manager(self) -> ResourceDefinition:
        if self.job.outputs_in_memory:
            return mem_io_manager
        module = self._env.get("DAGSTER_DEFAULT_IO_MANAGER_MODULE")
        attribute = self._env.get("DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE")
        if not module or not attribute:
            return default_io_manager
        return resource_definition(DEFAULT_IO_MANAGER, load_attribute(ModuleCodePointer(module, attribute)))

    def _make(self, key: str, log: logging.Logger) -> Any:
        definition = self.definition(key)
        context = InitResourceContext(
            resource_config=definition.final_config(self.config.resources.get(key)),
            resources=self.view(definition.required_resource_keys),
            run=self.run,
            log=log,
            resource_def=definition,
            instance=self.instance,
            storage_dir=str(self.home / "storage"),
            all_resource_defs=self.job.resource_defs,
        )
        try:
            return self._stack.enter_context(definition.open(context))
        except ConfigErrors:
            raise  # of a nested resource: it is the run's config that is wrong
        except Exception as error:
            raise DagsterResourceFunctionError(f"Error executing resource_fn on ResourceDefinition {key}") from error

    def close(self, emit: Emit, *, step: str | None, n: int | None) -> None:
        """Close all, the last opened first. What goes wrong is told by an event and changes no outcome."""
        keys = list(self._open)
        self._open.clear()
        try:
            self._stack.close()
        except Exception as error:  # noqa: BLE001 - user code; told by the event
            message = f"Teardown of resources [{', '.join(keys)}] failed."
            body = {"message": message, "error": error_info(error).to_body()}
            emit(NewEvent(EventKind.ENGINE_EVENT.value, step, n, body, time.time()))
