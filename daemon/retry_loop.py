"""Runs failed runs again, as the requests say that the transactions which ended them stored (``storage/retry_requests.py``).

The new run's id follows from the request, so that a daemon that died in the middle of it, and the one after it, make the same run.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from dataclasses import replace

from ..definitions.user_errors import error_info
from ..errors import NotFoundError, StorageUnavailableError
from ..events.kinds import EventKind
from ..events.origin import CodePointer
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..instance.retrying import OpenCode, RetryStrategy, retry_request
from ..locations.contract import CodeSource
from ..locations.subprocess_source import SubprocessCodeSource
from ..locations.target import CodeRequest
from ..storage.contract import RunFilter
from ..storage.retry_requests import WILL_RETRY_TAG, RetryRequest, RetryRequests
from .contract import LoopContext, LoopReport
from .ending import event_now

STRATEGY_TAG = "dagster/retry_strategy"
AUTO_RETRY_TAG = "dagster/auto_retry_run_id"
RETRY_NUMBER_TAG = "dagster/retry_number"
_NAMESPACE = uuid.UUID("6f0d7c1e-6c1e-4d52-9a56-0d3f1c2b9a77")


class RetryLoop:
    """The loop of run retries; see ``DaemonLoop``.

    Args:
        open_code: starts something that makes plans.
    """

    name = "retries"
    interval_s = 5.0
    budget_s = 600.0
    is_leased = True
    wakes = True

    def __init__(self, open_code: OpenCode) -> None:
        self._open_code = open_code

    def run_once(self, context: LoopContext) -> LoopReport:
        """Make the runs that were asked for."""
        requests = RetryRequests(context.instance.database)
        problems = []
        made = 0
        for request in requests.open():
            if context.stopping():
                break
            problem = self._retry(context.instance, request)
            requests.done(request.request_id)
            made += problem is None
            problems += [problem] if problem else []
        return LoopReport(made, tuple(problems))

    def close(self) -> None:
        """Nothing is held."""

    def _retry(self, instance: Instance, request: RetryRequest) -> str | None:
        """Make one retry; what was wrong if it can not be made."""
        try:
            failed = instance.runs.get(request.run_id)
        except NotFoundError:
            return None  # deleted meanwhile
        new_id = str(uuid.uuid5(_NAMESPACE, request.request_id))
        try:
            self._submit(instance, failed, new_id)
        except StorageUnavailableError:
            raise
        except Exception as e:  # noqa: BLE001 - whatever keeps a run from being retried is said in its log
            body = {"message": "Failed to retry run", "error": error_info(e).to_body(), "reported": True}
            instance.journal.annotate(failed.run_id, [event_now(EventKind.ENGINE_EVENT, body)])
            instance.runs.put_tags(failed.run_id, {WILL_RETRY_TAG: "false"})
            return f"run {failed.run_id} can not be retried: {e}"
        return None

    def _submit(self, instance: Instance, failed: Run, new_id: str) -> None:
        there = instance.runs.page(RunFilter(run_ids=(new_id,)), limit=1).runs
        if not there:
            number = RetryRequests(instance.database).group_size(failed.run_id)
            wanted = retry_request(instance, failed, self._open_code, _strategy_of(failed))
            tags = {**wanted.tags, RETRY_NUMBER_TAG: str(number)}
            instance.submit(replace(wanted, run_id=new_id, tags=tags))
        elif there[0].status is RunStatus.NOT_STARTED:
            instance.coordinator.submit(there[0])
        if AUTO_RETRY_TAG not in failed.tags:
            instance.runs.put_tags(failed.run_id, {AUTO_RETRY_TAG: new_id})
            told = {"message": "Retrying the run", "metadata": {"new run": new_id}, "reported": True}
            instance.journal.annotate(failed.run_id, [event_now(EventKind.ENGINE_EVENT, told)])
            told = {
                "message": "Launched as an automatic retry",
                "metadata": {"failed run": failed.run_id},
                "reported": True,
            }
            instance.journal.annotate(new_id, [event_now(EventKind.ENGINE_EVENT, told)])


def _strategy_of(run: Run) -> RetryStrategy:
    """As the run's tag says; what is none of the strategies is the default."""
    given = run.tags.get(STRATEGY_TAG, "")
    return RetryStrategy(given) if given in RetryStrategy.__members__ else RetryStrategy.FROM_FAILURE


def retry_loop_of(instance: Instance) -> RetryLoop | None:
    """The loop of run retries; None when the settings do not want it."""
    if not instance.settings.run_retries.enabled:
        return None
    timeout_s = float(instance.settings.code_servers.local_startup_timeout)

    def open_code(pointer: CodePointer) -> AbstractContextManager[CodeSource]:
        return SubprocessCodeSource(CodeRequest(pointer=pointer), timeout_s=timeout_s)

    return RetryLoop(open_code)
