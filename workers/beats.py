"""How a worker beats for the run that it coordinates."""

from __future__ import annotations

from collections.abc import Callable

from ..executors.contract import PartFailed
from ..executors.driver import ControlSeen, Driver
from ..executors.heartbeat import BEAT_S, Heartbeat
from ..instance.instance import Instance
from ..storage.contract import RunClaim


def beats_for(
    instance: Instance, run_id: str, claim: RunClaim, driver: Driver, tell: Callable[[ControlSeen | PartFailed], None]
) -> Heartbeat:
    """Beats often enough for the instance's lease, and tells of all that the driver is to hear: of the log too, where its attempts write there."""
    return Heartbeat(
        instance.journal,
        run_id,
        claim.epoch,
        tell,
        beat_s=min(BEAT_S, instance.lease_ttl_s / 6),
        follow=driver.follows_log,
        room=driver.room,
        is_over=lambda: driver.is_over,
    )
