"""Steps as Kubernetes Jobs: creates them, sees what becomes of them, ends them.

One thread decides (``Loop``): it takes what is asked, what the watch has seen and what calls have answered, one after the other, and
looks at the attempt that it is about (``_look``). Calls to the API are made by other threads, so that one that hangs holds up nobody
else. Outcomes come through the database; here only ends are seen, and why. What is gone is told once, when it is proven.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..errors import ConfigErrors
from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..kube.adoption import NameTakenError, Placed, is_over, is_owned_by, may_go_on
from ..kube.client import KubeClient
from ..kube.errors import KubeError, KubeForbiddenError, KubeQuotaError, KubeRefusedError, KubeUnavailableError
from ..kube.follower import Pace
from ..kube.health import judge
from ..kube.observed import Observed
from ..kube.verdict import Health, Verdict
from ..kube.watch import JobWatch
from ..storage.contract import AttemptRef
from .contract import PartFailed, Report, RunnerNote, StepGone, StepOrder, StepRefused, engine_event
from .k8s_attempt import Attempt, End
from .k8s_calls import JobCalls
from .k8s_pod_notes import PodNotes
from .k8s_refused_creates import READ_S, RefusedCreates
from .k8s_retention import StepRetention
from .k8s_step_jobs import AttemptJobs
from .loop import Loop

IN_FLIGHT = 32
"""Calls at a time."""
NOTE_S = 60.0
"""Between two events that say why an attempt has not started."""
NO_POD_S = 3.0
"""From when on a Job without a pod is remarkable."""
CHECK_S = 30.0
"""Between two consistent reads of something that is ending, or that the watch does not show."""
LINGER_S = 1.0
"""How long after a good end the outcome may be on its way."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
FORBIDDEN_TRIES = 3
ABSENCES = frozenset({"job gone", "pod deleted", "suspended in mid-run", "job not seen", "job failed"})
"""Rows that stand on something not being there (a pod that would say why): a consistent read has to confirm that."""
GOOD_ENDS = frozenset({"ended without an outcome", "job complete"})
"""Most likely the outcome is stored; if it is not, this is the evidence."""


class K8sJobRunner:
    """See ``StepRunner``.

    Args:
        report: takes signals; called from this runner's thread.
        client: the cluster.
        jobs: makes the Jobs.
        namespace, selector: where they are, and the labels of this run's.
        pace: of the watches.
        remarks: what a person should know of the configuration.
        retention: deletes Jobs that are over; closed with this runner. None: they stay.
        many_runs: attempts of many runs come and go: nothing is kept of one that has ended, and its end is told at once: outcomes
            are another's affair.
    """

    def __init__(
        self,
        report: Report,
        client: KubeClient,
        jobs: AttemptJobs,
        namespace: str,
        selector: str,
        pace: Pace | None = None,
        remarks: Sequence[str] = (),
        retention: StepRetention | None = None,
        many_runs: bool = False,
    ) -> None:
        self._remarks = remarks
        self._retention = retention
        self._report = report
        self._client = client
        self._jobs = jobs
        self._namespace = namespace
        self._attempts: dict[AttemptRef, Attempt] = {}
        self._by_name: dict[str, Attempt] = {}
        self._told: set[AttemptRef] = set()
        self._creates = RefusedCreates(client, namespace)
        self._pod_notes = PodNotes()
        self._loop = Loop("k8s-jobs", lambda: None, self._broke)
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="kube-call")
        self._many_runs = many_runs
        wanted = self._by_name.__contains__ if many_runs else None
        self._watch = JobWatch(client, namespace, selector, self._changed, pace, wanted=wanted)
        self._calls = JobCalls(client, namespace, jobs, self._watch, self._note)
        self._watch.start()
        self._loop.start()

    # StepRunner -------------------------------------------------------------------------------------------------------------------

    def start(self, order: StepOrder) -> None:
        """See ``StepRunner``."""
        self._loop.post(lambda: self._on_start(order))

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """See ``StepRunner``. Its Job is deleted with its pods, until neither is there any more."""
        self._loop.post(lambda: self._on_stop(ref, grace_s, cause))

    def probe(self, ref: AttemptRef) -> None:
        """See ``StepRunner``. A Job that is there is this coordinator's from now on."""
        self._loop.post(lambda: self._on_probe(ref))

    def hold(self, ref: AttemptRef, manifest: Mapping[str, Any] | None, start_timeout_s: float | None) -> None:
        """Watch an attempt whose Job was made elsewhere, until its end.

        Args:
            manifest: the Job, to be created unless it is there; None: nothing is to be created any more.
            start_timeout_s: how long its pod may take to start.
        """
        self._loop.post(lambda: self._on_hold(ref, manifest, start_timeout_s))

    def drop(self, ref: AttemptRef) -> None:
        """Somebody else watches it: nothing is told of it any more, and its Job is left alone."""
        self._loop.post(lambda: self._on_drop(ref))

    def close(self) -> None:
        """Jobs that run go on: another coordinator adopts them."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._loop.close(self._loop.end)
        self._watch.close()
        if self._retention is not None:
            self._retention.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    # Announces --------------------------------------------------------------------------------------------------------------------

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """See ``Announces``."""
        events = [engine_event("Starting execution with step handler K8sStepHandler.")]
        return events + [engine_event(remark) for remark in self._remarks]

    def closing(self) -> Sequence[NewEvent]:
        """See ``Announces``. The pods of the last steps, whose end was not waited for."""
        refs = [(attempt.ref, attempt.job_name) for attempt in list(self._attempts.values())]
        return self._pod_notes.rest((ref, self._watch.observed(name)) for ref, name in refs)

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``Announces``."""
        name = self._jobs.name(ref)
        body = {
            "message": f'Executing step "{ref.step}" in Kubernetes job {name}.',
            "metadata": {"Kubernetes Job name": name},
            "marker_start": "step_process_start",
        }
        return [NewEvent(EventKind.STEP_WORKER_STARTING, ref.step, ref.n, body, time.time())]

    # What is asked ----------------------------------------------------------------------------------------------------------------

    def _on_start(self, order: StepOrder) -> None:
        attempt = self._new(order.ref)
        attempt.order = order
        self._look(attempt)

    def _on_stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        if ref in self._told:
            return
        attempt = self._attempts.get(ref) or self._adopted(ref)
        if attempt.end is None:
            attempt.end = End(cause)
            attempt.grace_s = grace_s
            if attempt.is_placed:
                self._note(attempt, f"Deleting Kubernetes job {attempt.job_name} for step")
        elif attempt.deleted_at is not None:
            attempt.deleted_at, attempt.not_before = None, 0.0
        self._look(attempt)

    def _on_probe(self, ref: AttemptRef) -> None:
        if ref not in self._attempts and ref not in self._told:
            self._look(self._adopted(ref))

    def _on_hold(self, ref: AttemptRef, manifest: Mapping[str, Any] | None, start_timeout_s: float | None) -> None:
        attempt = self._new(ref)
        attempt.manifest, attempt.start_timeout_s = manifest, start_timeout_s
        attempt.is_adopted = manifest is None
        self._look(attempt)

    def _on_drop(self, ref: AttemptRef) -> None:
        attempt = self._attempts.pop(ref, None)
        if attempt is not None:
            self._by_name.pop(attempt.job_name, None)
            self._watch.forget(attempt.job_name)
            self._pod_notes.forget(ref)

    def _adopted(self, ref: AttemptRef) -> Attempt:
        attempt = self._new(ref)
        attempt.is_adopted = True
        return attempt

    def _new(self, ref: AttemptRef) -> Attempt:
        attempt = Attempt(ref, self._jobs.name(ref), time.monotonic())
        self._attempts[ref] = self._by_name[attempt.job_name] = attempt
        return attempt

    # What happens -----------------------------------------------------------------------------------------------------------------

    def _changed(self, job_name: str) -> None:
        self._loop.post(lambda: self._on_changed(job_name))

    def _on_changed(self, job_name: str) -> None:
        if (attempt := self._by_name.get(job_name)) is not None:
            self._look(attempt)

    def _on_due(self, ref: AttemptRef, at: float) -> None:
        attempt = self._attempts.get(ref)
        if attempt is not None and attempt.due == at:
            attempt.due = None
            self._look(attempt)

    def _broke(self, error: BaseException) -> None:
        """A fault of ours: the run ends with it."""
        self._report(PartFailed(error))

    def _again(self, attempt: Attempt, seconds: float) -> None:
        """Look at it after some seconds, or when it was to be looked at anyhow if that is sooner."""
        at = time.monotonic() + seconds
        if attempt.due is None or at < attempt.due:
            attempt.due = at
            self._loop.after(seconds, lambda: self._on_due(attempt.ref, at))

    def _call(self, attempt: Attempt, what: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Make a call elsewhere; `then` gets its result, or the KubeError, in this runner's thread."""
        attempt.is_busy = True

        def made() -> None:
            try:
                result = what()
            except (KubeError, ConfigErrors) as error:
                result = error
            except BaseException as error:  # noqa: BLE001 - it is told
                self._broke(error)
                return
            self._loop.post(lambda: answered(result))

        def answered(result: Any) -> None:
            attempt.is_busy = False
            if self._attempts.get(attempt.ref) is attempt:
                again = attempt.look_again
                then(result)
                if again and self._attempts.get(attempt.ref) is attempt:
                    self._look(attempt)

        if not self._closed.is_set():
            self._pool.submit(made)

    # One attempt ------------------------------------------------------------------------------------------------------------------

    def _look(self, attempt: Attempt) -> None:
        """Do what is to be done for this attempt now, if anything is."""
        if attempt.is_busy:
            # The answer that is on its way may be older than what has just changed.
            attempt.look_again = True
            return
        attempt.look_again = False
        if not attempt.is_placed:
            self._look_at_order(attempt)
            return
        if attempt.needs_owner and self._own(attempt):
            return
        observed = attempt.confirmed or self._observed(attempt)
        attempt.confirmed = None
        verdict = judge(observed)
        if verdict.health is Health.GONE and (observed.confirmed or verdict.row not in ABSENCES):
            self._gone(attempt, observed, verdict)
        elif verdict.health in (Health.GONE, Health.UNKNOWN):
            self._confirm(attempt)
        elif attempt.end is not None and verdict.health is Health.NEVER and observed.live is None and observed.last:
            # Its pod has ended, saying that it never can: there is nothing to end.
            self._gone(attempt, observed, verdict)
        elif attempt.end is not None:
            self._delete(attempt)
        elif verdict.health is Health.NEVER:
            self._call(
                attempt,
                lambda: self._calls.explain(observed, verdict),
                lambda text: self._refuse(attempt, self._worded(attempt, replace(verdict, evidence=str(text)))),
            )
        elif verdict.health is Health.ENDING:
            self._check_later(attempt)
        elif verdict.health is Health.NOT_YET:
            self._not_yet(attempt, verdict)

    def _observed(self, attempt: Attempt) -> Observed:
        observed = self._watch.observed(attempt.job_name, events=self._creates.of(attempt.job_name))
        if observed.job is not None and not self._jobs.is_of(observed.job, attempt.ref):
            return Observed(None)
        attempt.was_seen = attempt.was_seen or observed.job is not None
        self._tell_pod(attempt, observed)
        self._found(attempt, observed)
        if not attempt.was_seen and attempt.job is not None:
            return replace(observed, job=attempt.job)
        return observed

    # Creating ---------------------------------------------------------------------------------------------------------------------

    def _look_at_order(self, attempt: Attempt) -> None:
        if attempt.end is not None and not attempt.may_be_there:
            self._tell(attempt, attempt.end.evidence or "it was to be stopped before its Job was created")
        elif attempt.end is not None:
            # A create had no answer: there may be a Job. What is there is looked for, and ended.
            attempt.is_adopted = True
            self._confirm(attempt)
        elif (left := attempt.not_before - time.monotonic()) > 0:
            self._again(attempt, left)
        else:
            self._call(attempt, lambda: self._calls.place(attempt), lambda result: self._on_placed(attempt, result))

    def _on_placed(self, attempt: Attempt, result: Placed | KubeError | ConfigErrors) -> None:
        if isinstance(result, Placed):
            attempt.job, attempt.pause_s = result.job, 0.0
            if attempt.end is not None:
                self._note(attempt, f"Deleting Kubernetes job {attempt.job_name} for step")
            self._look(attempt)
        elif isinstance(result, (KubeUnavailableError, KubeQuotaError)):
            attempt.may_be_there = attempt.may_be_there or isinstance(result, KubeUnavailableError)
            self._try_later(attempt, result)
        elif (isinstance(result, KubeForbiddenError) and self._may_change(attempt, result)) or (
            isinstance(result, KubeRefusedError) and attempt.may_be_there and not isinstance(result, NameTakenError)
        ):
            self._try_later(attempt, result)
        else:
            end = attempt.end or End(FailureCause.LAUNCH_REFUSED, is_refusal=True)
            attempt.end = replace(end, evidence=end.evidence or f"Its Job can not be created: {result}")
            attempt.may_be_there = False
            self._look(attempt)

    def _may_change(self, attempt: Attempt, error: KubeForbiddenError) -> bool:
        """A role that was taken away for a moment, and not an admission check that says no."""
        attempt.refusals += 1
        return error.hint is not None and attempt.refusals < FORBIDDEN_TRIES

    def _try_later(self, attempt: Attempt, error: KubeError) -> None:
        asked = error.retry_after_s if isinstance(error, KubeUnavailableError) else None
        attempt.not_before = time.monotonic() + (asked or self._next_pause(attempt))
        if attempt.end is None:
            self._waits(attempt, f"its Job is not created yet: {error}")
        self._look(attempt)

    def _next_pause(self, attempt: Attempt) -> float:
        attempt.pause_s = min(max(FIRST_PAUSE_S, 2 * attempt.pause_s), LONGEST_PAUSE_S)
        return attempt.pause_s * random.uniform(0.75, 1.25)

    # Waiting to start -------------------------------------------------------------------------------------------------------------

    def _not_yet(self, attempt: Attempt, verdict: Verdict) -> None:
        now = time.monotonic()
        if verdict.row == "suspended":
            attempt.held_since = attempt.held_since or now
        elif attempt.held_since is not None:
            attempt.held_s += now - attempt.held_since
            attempt.held_since = None
        if verdict.row in ("no pod yet", "quota full") and now - attempt.since > NO_POD_S:
            self._read_events()
        if not self._waits(attempt, verdict.evidence):
            return
        left = NOTE_S - (now - (attempt.noted_at or attempt.since))
        if attempt.start_timeout_s is not None and attempt.held_since is None:
            left = min(left, attempt.start_timeout_s - attempt.waited_s(now))
        if verdict.row in ("no pod yet", "quota full"):
            left = min(left, READ_S if now - attempt.since > NO_POD_S else NO_POD_S)
        if verdict.row == "container config not there yet":
            left = min(left, READ_S)
        self._again(attempt, max(left, 0.05))

    def _waits(self, attempt: Attempt, why: str) -> bool:
        """Say now and then why it does not start. False when its time is over."""
        now = time.monotonic()
        if attempt.start_timeout_s is not None and attempt.waited_s(now) >= attempt.start_timeout_s:
            limit = f"it did not start within {attempt.start_timeout_s:.0f} seconds: {why}"
            self._end(attempt, End(FailureCause.START_TIMED_OUT, limit))
            return False
        if now - (attempt.noted_at or attempt.since) >= NOTE_S:
            attempt.noted_at = now
            self._note(
                attempt, f"Step {attempt.ref.step} has not started after {now - attempt.since:.0f} seconds: {why}"
            )
        return True

    def _read_events(self) -> None:
        if self._creates.are_due() and not self._closed.is_set():
            self._pool.submit(
                self._creates.read, lambda names: self._loop.post(lambda: self._on_refused_creates(names))
            )

    def _on_refused_creates(self, names: Sequence[str]) -> None:
        for name in names:
            self._on_changed(name)

    # Ending -----------------------------------------------------------------------------------------------------------------------

    def _refuse(self, attempt: Attempt, evidence: str) -> None:
        # It may have been told to stop while its evidence was read.
        attempt.end = attempt.end or End(FailureCause.LAUNCH_REFUSED, evidence, is_refusal=True)
        self._look(attempt)

    def _end(self, attempt: Attempt, end: End) -> None:
        attempt.end = end
        self._look(attempt)

    def _delete(self, attempt: Attempt) -> None:
        if attempt.deleted_at is not None:
            self._check_later(attempt)
        elif (left := attempt.not_before - time.monotonic()) > 0:
            self._again(attempt, left)
        else:
            self._call(attempt, lambda: self._calls.delete(attempt), lambda result: self._on_deleted(attempt, result))

    def _on_deleted(self, attempt: Attempt, result: Observed | KubeError) -> None:
        if isinstance(result, KubeError):
            attempt.not_before = time.monotonic() + self._next_pause(attempt)
        else:
            attempt.deleted_at, attempt.confirmed, attempt.pause_s = time.monotonic(), result, 0.0
        self._look(attempt)

    def _check_later(self, attempt: Attempt) -> None:
        """The watch tells when it is over; if that is deaf, a consistent read does."""
        left = attempt.not_before - time.monotonic()
        if attempt.not_before and left <= 0:
            attempt.not_before = 0.0
            self._confirm(attempt)
            return
        if not attempt.not_before:
            attempt.not_before = time.monotonic() + CHECK_S
        self._again(attempt, attempt.not_before - time.monotonic())

    def _confirm(self, attempt: Attempt) -> None:
        if (left := attempt.not_before - time.monotonic()) > 0 and attempt.pause_s:
            self._again(attempt, left)
            return
        self._call(attempt, lambda: self._calls.confirm(attempt), lambda result: self._on_confirmed(attempt, result))

    def _on_confirmed(self, attempt: Attempt, result: Observed | KubeError) -> None:
        if isinstance(result, KubeError):
            # Unknown is not gone.
            attempt.not_before = time.monotonic() + self._next_pause(attempt)
            self._again(attempt, attempt.not_before - time.monotonic())
            return
        attempt.pause_s = attempt.not_before = 0.0
        self._found(attempt, result)
        attempt.confirmed = result
        self._look(attempt)

    # Owners -----------------------------------------------------------------------------------------------------------------------

    def _found(self, attempt: Attempt, observed: Observed) -> None:
        """An adopted Job is to be owned by this coordinator's Job, so that it does not go with the former one's."""
        if attempt.job is not None or observed.job is None:
            return
        attempt.job = observed.job
        owner = self._jobs.owner
        if owner is not None and not is_over(attempt.job) and not is_owned_by(attempt.job, owner):
            attempt.needs_owner = True
            self._look(attempt)

    def _own(self, attempt: Attempt) -> bool:
        """Hand the Job over before anything else is done about it. False: that can not be tried now."""
        if (left := attempt.own_not_before - time.monotonic()) > 0:
            self._again(attempt, left)
            return False
        self._call(attempt, lambda: self._calls.give_owner(attempt), lambda result: self._on_owned(attempt, result))
        return True

    def _on_owned(self, attempt: Attempt, result: bool | KubeError) -> None:
        if isinstance(result, KubeUnavailableError):
            attempt.own_not_before = time.monotonic() + self._next_pause(attempt)
        else:
            attempt.needs_owner, attempt.pause_s = False, 0.0
        if isinstance(result, KubeRefusedError):
            text = f"Kubernetes job {attempt.job_name} could not be given its new owner; it may go with the former one: {result}"
            self._note(attempt, text)
        self._look(attempt)

    def _gone(self, attempt: Attempt, observed: Observed, verdict: Verdict) -> None:
        now = time.monotonic()
        if attempt.end is not None:
            self._tell(attempt, attempt.end.evidence or f"it was told to stop; {verdict.evidence}", observed)
        elif verdict.row in GOOD_ENDS and attempt.lingers_until is None and not self._many_runs:
            attempt.lingers_until = now + LINGER_S
            self._again(attempt, LINGER_S)
        elif verdict.row in GOOD_ENDS:
            if (left := (attempt.lingers_until or 0.0) - now) > 0:
                self._again(attempt, left)
                return
            self._tell_verdict(attempt, observed, verdict, self._worded(attempt, verdict))
        else:
            self._call(
                attempt,
                lambda: self._calls.explain(observed, verdict),
                lambda text: self._tell_verdict(
                    attempt, observed, verdict, self._worded(attempt, replace(verdict, evidence=str(text)))
                ),
            )

    def _worded(self, attempt: Attempt, verdict: Verdict) -> str:
        about = f"Kubernetes job {attempt.job_name} for step {attempt.ref.step}"
        if verdict.row == "job gone":
            return f"{about} could not be found."
        return f"Discovered failed {about} ({verdict.row}): {verdict.evidence}"

    def _tell_verdict(self, attempt: Attempt, observed: Observed, verdict: Verdict, evidence: str) -> None:
        # It may have been told to stop while its evidence was read.
        attempt.end = (
            replace(attempt.end, evidence=evidence) if attempt.end else End(verdict.cause or FailureCause.LOST)
        )
        self._tell(attempt, evidence, observed)

    def _tell(self, attempt: Attempt, evidence: str, observed: Observed | None = None) -> None:
        """Once for each attempt."""
        end = attempt.end
        assert end is not None
        self._tell_pod(attempt, observed or self._watch.observed(attempt.job_name), at_end=True)
        if self._many_runs:
            self._pod_notes.forget(attempt.ref)
        else:
            self._told.add(attempt.ref)
        del self._attempts[attempt.ref]
        self._by_name.pop(attempt.job_name, None)
        self._watch.forget(attempt.job_name)
        if observed is not None and observed.job is not None and may_go_on(observed.job) and not self._closed.is_set():
            self._pool.submit(self._calls.tidy, attempt, observed.job)
        self._report(
            StepRefused(attempt.ref, evidence) if end.is_refusal else StepGone(attempt.ref, end.cause, evidence)
        )

    def _tell_pod(self, attempt: Attempt, observed: Observed, *, at_end: bool = False) -> None:
        if events := self._pod_notes.of(attempt.ref, observed, at_end=at_end):
            self._report(RunnerNote(events, attempt.ref))

    def _note(self, attempt: Attempt, message: str) -> None:
        event = engine_event(message, {"Kubernetes Job name": attempt.job_name}, attempt.ref)
        self._report(RunnerNote([event], attempt.ref))
