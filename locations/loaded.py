"""A code location in the process that imported it: its jobs, each with the pointer by which another process finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..definitions.code_loading import find_attribute, jobs_of, load_jobs, load_module_of, load_target
from ..definitions.definitions_object import IMPLICIT_ASSET_JOB, find_job, is_hidden
from ..definitions.job import JobDefinition
from ..engine.snapshot import PlanSnapshot, StoredOutput
from ..errors import NotFoundError
from ..events.origin import (
    AutoloadDefsModuleCodePointer,
    CodePointer,
    FileCodePointer,
    ModuleCodePointer,
    PackageCodePointer,
)
from ..plan.compile import compile_plan
from .contract import AssetListing, AssetsAsked, JobListing
from .target import CodeRequest, CodeTarget


@dataclass(frozen=True)
class LoadedCode:
    """What was imported.

    Attributes:
        found: (pointer, job) in the order of definition. In a file of several jobs and no Definitions each job has a pointer of its own.
    """

    found: Sequence[tuple[CodePointer, JobDefinition]]

    def listings(self) -> list[JobListing]:
        """See ``CodeSource.jobs``."""
        return [
            JobListing(job.name, job.description, job.tags, tuple(op.path for op in job.wiring))
            for _, job in self.found
            if not is_hidden(job.name)
        ]

    def assets(self, query: str | None) -> list[AssetListing]:
        """See ``CodeSource.assets``. Raises DagsterInvalidSubsetError for what is no query, or means what is not there."""
        job = next((job for _, job in self.found if job.name == IMPLICIT_ASSET_JOB), None)
        return [] if job is None else [AssetListing(**found) for found in job.assets.described(query)]

    def pointer(self, name: str) -> CodePointer:
        """Where another process finds the job. Raises NotFoundError."""
        job = self.job(name)
        return next(pointer for pointer, found in self.found if found is job)

    def job(self, name: str) -> JobDefinition:
        """The job of that name. Raises NotFoundError with the nearest name."""
        return find_job([job for _, job in self.found], name)

    def plan(
        self,
        name: str,
        selection: Sequence[str] | None,
        assets: AssetsAsked | None,
        run_config: Mapping[str, Any] | None,
        step_keys: Sequence[str] | None,
        known: Sequence[StoredOutput],
    ) -> PlanSnapshot:
        """See ``CodeSource.snapshot``. Raises ConfigErrors."""
        job = self.job(name)
        if assets is not None and assets.query is not None:
            job = job.for_assets(*job.assets.meant_by(assets.query))
        elif assets is not None:
            job = job.for_assets(assets.keys, assets.check_keys)
        return compile_plan(job, run_config, selection=selection, step_keys=step_keys, known_outputs=known)


def load(request: CodeRequest) -> LoadedCode:
    """Import what is asked for.

    Raises:
        NotFoundError: no such file, module, attribute; nothing in it that is a job.
        CodeLoadError: the code fails when it is imported.
    """
    if request.target is None:
        assert request.pointer is not None, "a request holds a target or a pointer"
        pointer = request.pointer
        return LoadedCode([(pointer, job) for job in load_jobs(pointer)])
    target = request.target
    if target.attribute is not None:
        return _by_attribute(target, target.attribute)
    module = load_module_of(_module_pointer(target))
    try:
        return _by_attribute(target, find_attribute(module, str(target)))
    except NotFoundError:
        jobs = [(name, value) for name, value in vars(module).items() if isinstance(value, JobDefinition)]
        if not jobs:
            raise
    seen: dict[int, tuple[CodePointer, JobDefinition]] = {}
    for name, job in jobs:
        seen.setdefault(id(job), (_pointer(target, name), job))
    return LoadedCode(list(seen.values()))


def _by_attribute(target: CodeTarget, attribute: str) -> LoadedCode:
    pointer = _pointer(target, attribute)
    return LoadedCode([(pointer, job) for job in jobs_of(load_target(pointer), str(target))])


def _pointer(target: CodeTarget, attribute: str) -> CodePointer:
    if target.python_file is not None:
        return FileCodePointer(target.python_file, attribute, target.working_directory)
    if target.module_name is not None:
        return ModuleCodePointer(target.module_name, attribute, target.working_directory)
    return PackageCodePointer(target.package_name or "", attribute, target.working_directory)


def _module_pointer(target: CodeTarget) -> FileCodePointer | AutoloadDefsModuleCodePointer:
    if target.python_file is not None:
        return FileCodePointer(target.python_file, "", target.working_directory)
    return AutoloadDefsModuleCodePointer(target.module_name or target.package_name or "", target.working_directory)
