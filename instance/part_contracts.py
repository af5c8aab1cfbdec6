"""What a third party's class has to offer for its place in the instance, so that the wrong class is named before a run is launched."""

from __future__ import annotations

from typing import Any

from ..errors import UnsupportedError
from .parts import Part

_CONTRACTS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "compute_logs": ("runplane.storage.compute_logs.ComputeLogStore", (("open", "read", "finish"),)),
    "run_coordinator": ("runplane.coordinators.contract.RunCoordinator", (("submit",),)),
    "run_launcher": (
        "runplane.launchers.contract.RunLauncher or of runplane.launchers.dagster_contract.RunLauncher",
        (("launch", "terminate"), ("launch_run", "terminate")),
    ),
    "storage": ("runplane.storage.database.Database", (("transact", "read"),)),
}
"""Name of a part -> the contract's place, and the sets of methods of which one is enough."""


def check_contract(part: Part, built: Any) -> None:
    """Look at the methods of a part's class, or of the object that was built from it.

    Raises:
        UnsupportedError: methods of the part's contract are missing.
    """
    if part.name not in _CONTRACTS:
        return
    contract, choices = _CONTRACTS[part.name]
    missing = min((_missing(built, methods) for methods in choices), key=len)
    if missing:
        raise UnsupportedError(
            f"its class has no {' and no '.join(f'{name}()' for name in missing)}",
            where=f"{part.where}: {part.name}",
            got=str(part.pointer),
            expected=f"a class with the methods of {contract}",
        )


def _missing(built: Any, methods: tuple[str, ...]) -> list[str]:
    return [name for name in methods if not callable(getattr(built, name, None))]
