"""Steps as Kubernetes Jobs: creates them, sees what becomes of them, ends them.

One thread decides (``Attempts``): it takes what is asked, what the watch has seen and what calls have answered, one after the other, and
looks at the attempt that it is about (``_look``): what is to begin (``Beginning``), to end (``Ending``), or to be told. Outcomes come
through the database; here only ends are seen, and why. What is gone is told once, when it is proven.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import StorageUnavailableError
from ..events.causes import FailureCause
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..kube.adoption import is_over, is_owned_by, may_go_on
from ..kube.client import KubeClient
from ..kube.errors import KubeNotFoundError
from ..kube.follower import Pace
from ..kube.health import judge
from ..kube.observed import Observed
from ..kube.verdict import Health, Verdict
from ..kube.watch import JobWatch
from ..storage.contract import AttemptRef
from .contract import PartFailed, Report, RunnerNews, RunnerNote, StepGone, StepOrder, StepRefused, engine_event
from .k8s_attempt import Attempt, End
from .k8s_attempts import Attempts
from .k8s_beginning import Beginning
from .k8s_calls import JobCalls
from .k8s_ending import Ending
from .k8s_last_lines import LastLines
from .k8s_pod_notes import PodNotes
from .k8s_refused_creates import RefusedCreates
from .k8s_retention import StepRetention
from .k8s_step_jobs import AttemptJobs
from .wanted_lines import CAN_NOT

LINGER_S = 1.0
"""How long after a good end the outcome may be on its way."""
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
        wants_lines: for attempts of many runs, which come and go, and whose outcomes are another's affair: nothing is kept of one that
            has ended, and its end is told at once, after what its pod printed last if this says so. It is asked by several threads, and
            may raise StorageUnavailableError: then it is asked again.
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
        wants_lines: Callable[[AttemptRef], bool] | None = None,
    ) -> None:
        self._remarks = remarks
        self._retention = retention
        self._report = report
        self._client = client
        self._jobs = jobs
        self._told: set[AttemptRef] = set()
        self._wants_lines = wants_lines
        self._creates = RefusedCreates(client, namespace)
        self._pod_notes = PodNotes()
        self._attempts = Attempts(self._look, self._broke)
        wanted = self._attempts.has if wants_lines is not None else None
        self._watch = JobWatch(
            client, namespace, selector, self._attempts.changed, pace, wanted=wanted, answers=self._attempts.answers
        )
        self._calls = JobCalls(client, namespace, jobs, self._watch, self._note)
        self._beginning = Beginning(self._attempts, self._calls, self._creates, self._note)
        self._ending = Ending(self._attempts, self._calls)
        self._last_lines = LastLines(self._calls.last_lines, lambda: report(RunnerNews()))
        self._watch.start()
        self._attempts.start()

    # StepRunner -------------------------------------------------------------------------------------------------------------------

    def start(self, order: StepOrder) -> None:
        """See ``StepRunner``."""
        self._attempts.post(lambda: self._on_start(order))

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """See ``StepRunner``. Its Job is deleted with its pods, until neither is there any more."""
        self._attempts.post(lambda: self._on_stop(ref, grace_s, cause))

    def probe(self, ref: AttemptRef) -> None:
        """See ``StepRunner``. A Job that is there is this coordinator's from now on."""
        self._attempts.post(lambda: self._on_probe(ref))

    def hold(self, ref: AttemptRef, manifest: Mapping[str, Any] | None, start_timeout_s: float | None) -> None:
        """Watch an attempt whose Job was made elsewhere, until its end.

        Args:
            manifest: the Job, to be created unless it is there; None: nothing is to be created any more.
            start_timeout_s: how long its pod may take to start.
        """
        self._attempts.post(lambda: self._on_hold(ref, manifest, start_timeout_s))

    def drop(self, ref: AttemptRef) -> None:
        """Somebody else watches it: nothing is told of it any more, and its Job is left alone."""
        self._attempts.post(lambda: self._on_drop(ref))

    def close(self) -> None:
        """Jobs that run go on: another coordinator adopts them."""
        if self._attempts.closed.is_set():
            return
        self._last_lines.close()
        self._attempts.close()
        self._watch.close()
        if self._retention is not None:
            self._retention.close()
        self._client.close()

    # Announces --------------------------------------------------------------------------------------------------------------------

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """See ``Announces``."""
        events = [engine_event("Starting execution with step handler K8sStepHandler.")]
        return events + [engine_event(remark) for remark in self._remarks]

    def closing(self) -> Sequence[NewEvent]:
        """See ``Announces``. The pods of the last steps, whose end was not waited for; what those that failed printed."""
        pods = self._pod_notes.rest((one.ref, self._watch.observed(one.job_name)) for one in self._attempts.all())
        return [*pods, *self._last_lines.rest()]

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``Announces``."""
        name = self._jobs.name(ref)
        body = {
            "message": f'Executing step "{ref.step}" in Kubernetes job {name}.',
            "metadata": {"Kubernetes Job name": name},
            "marker_start": "step_process_start",
        }
        return [NewEvent(EventKind.STEP_WORKER_STARTING, ref.step, ref.n, body, time.time())]

    # HearsLog ---------------------------------------------------------------------------------------------------------------------

    def heard(self, events: Sequence[Event]) -> None:
        """See ``HearsLog``."""
        self._last_lines.heard(events)

    def news(self) -> Sequence[NewEvent]:
        """See ``HearsLog``."""
        return self._last_lines.news()

    # What is asked ----------------------------------------------------------------------------------------------------------------

    def _on_start(self, order: StepOrder) -> None:
        attempt = self._new(order.ref)
        attempt.order = order
        self._attempts.look(attempt)

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
        self._attempts.look(attempt)

    def _on_probe(self, ref: AttemptRef) -> None:
        if self._attempts.get(ref) is None and ref not in self._told:
            self._attempts.look(self._adopted(ref))

    def _on_hold(self, ref: AttemptRef, manifest: Mapping[str, Any] | None, start_timeout_s: float | None) -> None:
        attempt = self._new(ref)
        attempt.manifest, attempt.start_timeout_s = manifest, start_timeout_s
        attempt.is_adopted = manifest is None
        self._attempts.look(attempt)

    def _on_drop(self, ref: AttemptRef) -> None:
        attempt = self._attempts.get(ref)
        if attempt is not None:
            self._attempts.remove(attempt)
            self._watch.forget(attempt.job_name)
            self._pod_notes.forget(ref)

    def _adopted(self, ref: AttemptRef) -> Attempt:
        attempt = self._new(ref)
        attempt.is_adopted = True
        return attempt

    def _new(self, ref: AttemptRef) -> Attempt:
        return self._attempts.add(ref, self._jobs.name(ref))

    def _broke(self, error: BaseException) -> None:
        """A fault of ours: the run ends with it."""
        self._report(PartFailed(error))

    # One attempt ------------------------------------------------------------------------------------------------------------------

    def _look(self, attempt: Attempt) -> None:
        """Do what is to be done for this attempt now, if anything is."""
        if not attempt.is_placed:
            self._look_at_order(attempt)
            return
        observed = attempt.confirmed or self._observed(attempt)
        self._found(attempt, observed)
        if attempt.needs_owner and self._beginning.own(attempt):
            return
        attempt.confirmed = None
        verdict = judge(observed)
        if verdict.health is Health.GONE and (observed.confirmed or verdict.row not in ABSENCES):
            self._gone(attempt, observed, verdict)
        elif verdict.health in (Health.GONE, Health.UNKNOWN):
            self._ending.confirm(attempt)
        elif attempt.end is not None and verdict.health is Health.NEVER and observed.live is None and observed.last:
            # Its pod has ended, saying that it never can: there is nothing to end.
            self._gone(attempt, observed, verdict)
        elif attempt.end is not None:
            self._ending.delete(attempt)
        elif verdict.health is Health.NEVER:
            self._attempts.call(
                attempt,
                lambda: self._calls.explain(observed, verdict),
                lambda text: self._refuse(attempt, self._worded(attempt, replace(verdict, evidence=str(text)))),
            )
        elif verdict.health is Health.ENDING:
            self._ending.check_later(attempt)
        elif verdict.health is Health.NOT_YET:
            self._beginning.not_yet(attempt, verdict)

    def _look_at_order(self, attempt: Attempt) -> None:
        if attempt.end is None:
            self._beginning.place(attempt)
        elif not attempt.may_be_there:
            self._tell(attempt, attempt.end.evidence or "it was to be stopped before its Job was created")
        else:
            # A create had no answer: there may be a Job. What is there is looked for, and ended.
            attempt.is_adopted = True
            self._ending.confirm(attempt)

    def _observed(self, attempt: Attempt) -> Observed:
        observed = self._watch.observed(attempt.job_name, events=self._creates.of(attempt.job_name))
        if observed.job is not None and not self._jobs.is_of(observed.job, attempt.ref):
            return Observed(None)
        attempt.was_seen = attempt.was_seen or observed.job is not None
        self._tell_pod(attempt, observed)
        if not attempt.was_seen and attempt.job is not None:
            return replace(observed, job=attempt.job)
        return observed

    def _found(self, attempt: Attempt, observed: Observed) -> None:
        """An adopted Job is to be owned by this coordinator's Job, so that it does not go with the former one's."""
        if attempt.job is not None or observed.job is None:
            return
        attempt.job = observed.job
        owner = self._jobs.owner
        if owner is not None and not is_over(attempt.job) and not is_owned_by(attempt.job, owner):
            attempt.needs_owner = True

    # What is told -----------------------------------------------------------------------------------------------------------------

    def _refuse(self, attempt: Attempt, evidence: str) -> None:
        # It may have been told to stop while its evidence was read.
        attempt.end = attempt.end or End(FailureCause.LAUNCH_REFUSED, evidence, is_refusal=True)
        self._attempts.look(attempt)

    def _gone(self, attempt: Attempt, observed: Observed, verdict: Verdict) -> None:
        now = time.monotonic()
        if attempt.end is not None:
            self._tell(attempt, attempt.end.evidence or f"it was told to stop; {verdict.evidence}", observed)
        elif verdict.row in GOOD_ENDS and attempt.lingers_until is None and self._wants_lines is None:
            attempt.lingers_until = now + LINGER_S
            self._attempts.look_in(attempt, LINGER_S)
        elif verdict.row in GOOD_ENDS:
            if (left := (attempt.lingers_until or 0.0) - now) > 0:
                self._attempts.look_in(attempt, left)
                return
            self._part(attempt, observed, verdict, self._worded(attempt, verdict))
        else:
            self._attempts.call(
                attempt,
                lambda: self._calls.explain(observed, verdict),
                lambda text: self._part(
                    attempt, observed, verdict, self._worded(attempt, replace(verdict, evidence=str(text)))
                ),
            )

    def _worded(self, attempt: Attempt, verdict: Verdict) -> str:
        about = f"Kubernetes job {attempt.job_name} for step {attempt.ref.step}"
        if verdict.row == "job gone":
            return f"{about} could not be found."
        return f"Discovered failed {about} ({verdict.row}): {verdict.evidence}"

    def _part(self, attempt: Attempt, observed: Observed, verdict: Verdict, evidence: str) -> None:
        """Tell its end; before that, if somebody wants it, what its pod printed last."""
        if self._wants_lines is None:
            self._tell_verdict(attempt, observed, verdict, evidence)
            return
        wants_lines = self._wants_lines

        def read() -> NewEvent | StorageUnavailableError | None:
            try:
                return self._calls.last_lines(attempt.ref) if wants_lines(attempt.ref) else None
            except StorageUnavailableError as error:
                return error

        def then(found: NewEvent | Exception | None) -> None:
            if isinstance(found, StorageUnavailableError):
                # Its end could not be stored either.
                self._attempts.look_in(attempt, LINGER_S)
                return
            if isinstance(found, Exception) and not isinstance(found, KubeNotFoundError):
                found = engine_event(f"{CAN_NOT}: {found}", ref=attempt.ref)
            if isinstance(found, NewEvent):
                self._report(RunnerNote([found], attempt.ref))
            self._tell_verdict(attempt, observed, verdict, evidence)

        self._attempts.call(attempt, read, then)

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
        if self._wants_lines is not None:
            self._pod_notes.forget(attempt.ref)
        else:
            self._told.add(attempt.ref)
        self._attempts.remove(attempt)
        self._watch.forget(attempt.job_name)
        if observed is not None and observed.job is not None and may_go_on(observed.job):
            self._attempts.elsewhere(self._calls.tidy, attempt, observed.job)
        self._report(
            StepRefused(attempt.ref, evidence) if end.is_refusal else StepGone(attempt.ref, end.cause, evidence)
        )

    def _tell_pod(self, attempt: Attempt, observed: Observed, *, at_end: bool = False) -> None:
        if events := self._pod_notes.of(attempt.ref, observed, at_end=at_end):
            self._report(RunnerNote(events, attempt.ref))

    def _note(self, attempt: Attempt, message: str) -> None:
        event = engine_event(message, {"Kubernetes Job name": attempt.job_name}, attempt.ref)
        self._report(RunnerNote([event], attempt.ref))
