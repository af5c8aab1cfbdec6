"""What whoever needs definitions (the command line, the daemon, the web server) asks for, without importing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from ..engine.snapshot import PlanSnapshot, StoredOutput
from ..errors import Problem
from ..events.origin import JobOrigin
from ..events.run import Run
from ..serdes.record import record


@record
class JobListing:
    """A job that a code location offers: its name, what its author says of it, its tags, the paths of its ops in plan order."""

    name: str
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    ops: tuple[str, ...] = ()


@record
class AssetListing:
    """An asset that a code location offers.

    Attributes:
        key: as text, ``a/b``.
        group, kinds, owners, tags, description: what its author says of it.
        deps: keys of the assets it is made from, as text.
        checks: names of its checks.
        is_executable: whether the code location makes it.
    """

    key: str
    group: str
    kinds: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    deps: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    is_executable: bool = True


@record
class AssetsAsked:
    """Which assets of a job a run is for.

    Attributes:
        query: an asset selection query (``group:"a"``), resolved where the code is; or None.
        keys, check_keys: the assets and checks themselves, as text, when there is no query.
    """

    query: str | None = None
    keys: tuple[str, ...] | None = None
    check_keys: tuple[str, ...] | None = None

    @classmethod
    def of_run(cls, run: Run) -> AssetsAsked | None:
        """What a stored run is for; None when it is for its whole job."""
        if run.asset_selection is None and run.asset_check_selection is None:
            return None
        return cls(None, run.asset_selection, run.asset_check_selection)


class CodeSource(Protocol):
    """A code location that can be asked. A subprocess of this machine now; a code server later.

    Every method raises a ``RunplaneError`` when the code can not be loaded or what is asked for is not there.
    """

    @property
    def image(self) -> str | None:
        """Container image of the code, if it has one."""

    @property
    def container_context(self) -> Mapping[str, Any] | None:
        """What the code location wants in its pods, or None."""

    def jobs(self) -> Sequence[JobListing]:
        """Its jobs, in the order they are defined."""

    def assets(self, query: str | None = None) -> Sequence[AssetListing]:
        """Its assets, sorted by key: all, or those that an asset selection query means."""

    def origin(self, job: str) -> JobOrigin:
        """Where another process finds the code of `job`."""

    def snapshot(
        self,
        job: str,
        *,
        selection: Sequence[str] | None = None,
        assets: AssetsAsked | None = None,
        run_config: Mapping[str, Any] | None = None,
        step_keys: Sequence[str] | None = None,
        known: Sequence[StoredOutput] = (),
    ) -> PlanSnapshot | list[Problem]:
        """The plan of a run of `job`; or everything that is wrong with `run_config`.

        Args:
            selection: op selection queries; None: all ops.
            assets: of a job of assets, which of them; None: all.
            run_config: as given; None: the job's own.
            step_keys: only these steps; None: all.
            known: outputs of earlier runs that are taken in place of running their steps.
        """
