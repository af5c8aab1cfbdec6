"""One attempt of one step, from its resources to its outcome.

``perform_step`` is a sentence: open resources, say that the step starts, load inputs, check them, run the user's function, keep
each output, and tell the outcome as the last fact. It raises nothing for what user code does; what `emit` raises goes through.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import executors
from ..definitions.direct import config_argument
from ..definitions.errors import (
    DagsterExecutionHandleOutputError,
    DagsterExecutionInterruptedError,
    DagsterExecutionLoadInputError,
    DagsterExecutionStepExecutionError,
    DagsterInvariantViolationError,
    DagsterMaxRetriesExceededError,
    DagsterResourceFunctionError,
    DagsterStepOutputNotFoundError,
    DagsterTypeLoadingError,
    DagsterUserCodeExecutionError,
    RetryRequestedFromPolicy,
)
from ..definitions.ins_outs import UNSET, InputDefinition, OutputDefinition
from ..definitions.io_manager import InputContext
from ..definitions.metadata import metadata_body
from ..definitions.op_context import OpExecutionContext
from ..definitions.results import DynamicOutput, Failure, Output, RetryRequested
from ..definitions.retry_policy import draw_delay
from ..definitions.step_assets import AssetSource, StepNote
from ..definitions.user_errors import error_info
from ..definitions.value_type import ANY
from ..engine.snapshot import StoredOutput
from ..errors.base import DagsterError, FencedError
from ..events.causes import ErrorInfo, FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.messages import duration as in_words
from ..events.trace_context import TRACEPARENT_ENV, step_parent
from .resource_scope import Emit, ResourceScope
from .step_context import StepContexts
from .step_log import choose_loggers, listened, step_logger
from .step_request import StepRequest
from .type_checks import check_body, checked, refuse, verdict
from .user_results import AnyOutput, outputs_of


def perform_step(request: StepRequest, emit: Emit) -> None:
    """Run one attempt of one step and tell by events what happens; exactly one outcome, the last fact.

    Args:
        request: the attempt.
        emit: takes the events, in order. What it raises (the attempt lost its authority) ends the attempt and goes through.
    """
    with _trace_context(request):
        _Attempt(request, emit).run()


@contextmanager
def _trace_context(request: StepRequest) -> Iterator[None]:
    """While inside: whoever reads the variable of the trace context stands under this attempt's span."""
    parent = step_parent(request.run.tags, request.run.run_id, request.step_key, request.n)
    if parent is None:
        yield
        return
    before = os.environ.get(TRACEPARENT_ENV)
    os.environ[TRACEPARENT_ENV] = parent.text
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(TRACEPARENT_ENV, None)
        else:
            os.environ[TRACEPARENT_ENV] = before


class _Attempt:
    def __init__(self, request: StepRequest, emit: Emit) -> None:
        self.request = request
        self._emit = emit
        self._broken: BaseException | None = None
        self.key = request.step_key
        self.scope = request.scope or ResourceScope(
            request.job, request.run, request.home, instance=request.instance, config=request.config
        )
        self.seen: dict[str, set[str | None]] = {}
        self.ended: Any = None  # an `Ended` where there are hooks
        self.user_code_s = 0.0

    # The sentence ---------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Everything."""
        log = step_logger(
            self.emit, self.request.run, step=self.key, n=self.request.n, level=self.request.log_settings.level
        )
        try:
            self._run_body(log)
        except BaseException as error:  # noqa: BLE001 - whatever ends user code is the attempt's outcome
            if self._broken is not None:
                raise self._broken from None
            self._conclude(error)
        finally:
            if self.ended is not None and self._broken is None:
                self.ended.call_hooks(self.emit)
            if self.request.scope is None and self._broken is None:
                self.scope.close(self.emit, step=self.key, n=self.request.n)

    def _run_body(self, log: logging.Logger) -> None:
        request = self.request
        choose_loggers(log, request.job, self.scope.config.loggers, request.run, step=self.key, n=request.n)
        with listened(log, request.log_settings, request.run, step=self.key, n=request.n):
            contexts = self._open(log)
            hooks = request.job.hooks_of(contexts.wired)
            self.ended = executors.step_hooks.Ended(hooks, contexts) if hooks else None
            self._announce()
            began = time.perf_counter()
            arguments = self._arguments(contexts)
            loaded = time.perf_counter()
            context = contexts.for_op(lambda note: self._note([note]))
            for given in self._user_outputs(contexts, arguments, context):
                if isinstance(given, StepNote):
                    self._note([given])
                else:
                    self._keep(contexts, given, context)
            self._check_complete(contexts, context)
            contexts.assets.concluded()
        duration = 1000 * (time.perf_counter() - began)
        parts = {"inputs_ms": 1000 * (loaded - began), "user_code_ms": 1000 * self.user_code_s}
        message = f'Finished execution of step "{self.key}" in {in_words(duration)}.'
        self.tell(EventKind.STEP_SUCCESS, message, duration_ms=duration, **parts, **self._what_follows())

    # Telling --------------------------------------------------------------------------------------------------------------

    def emit(self, event: NewEvent) -> None:
        """Pass an event on. Once that was refused nothing more is told, whatever user code makes of the refusal."""
        if self._broken is not None:
            raise self._broken
        try:
            self._emit(event)
        except DagsterExecutionInterruptedError:
            raise  # the event was taken; that the step is to stop can still be told
        except BaseException as error:
            self._broken = error
            raise
        if self.ended is not None:
            self.ended.events.append(event._replace(value=None))

    def tell(self, kind: EventKind, message: str, **details: Any) -> None:
        """An event of this attempt."""
        self.emit(NewEvent(kind.value, self.key, self.request.n, {"message": message, **details}, time.time()))

    def _note(self, notes: Iterable[StepNote]) -> None:
        """Tell what user code, or what it made, has to say."""
        for note in notes:
            self.tell(note.kind, note.message, **note.body)

    # Before user code -----------------------------------------------------------------------------------------------------

    def _open(self, log: logging.Logger) -> StepContexts:
        request = self.request
        if request.scope is None:
            self.scope.open(request.step.resource_keys, self.emit, log, step=self.key, n=request.n)
        return StepContexts(request, self.scope, log)

    def _announce(self) -> None:
        if self.request.n == 1:
            self.tell(EventKind.STEP_START, f'Started execution of step "{self.key}".')
        else:
            message = f'Started re-execution (attempt # {self.request.n}) of step "{self.key}".'
            self.tell(EventKind.STEP_RESTARTED, message)

    def _arguments(self, contexts: StepContexts) -> dict[str, Any]:
        """What the op's function is called with, context apart. All inputs are loaded before the first is checked."""
        op = contexts.op
        by_parameter = {p.name for p in op.signature.inputs}
        loaded = {name: self._input(contexts, spec) for name, spec in op.input_dict.items() if not spec.type.is_nothing}
        for name, value in loaded.items():
            self._check_input(contexts, op.input_dict[name], value)
        nothings = {n: None for n, spec in op.input_dict.items() if spec.type.is_nothing and n in by_parameter}
        arguments: dict[str, Any] = {**loaded, **nothings}
        for key in op.signature.resources:
            arguments[key] = self.scope[key]
        if op.signature.config is not UNSET:
            arguments["config"] = config_argument(op.signature.config, contexts.op_config.config)
        return arguments

    def _input(self, contexts: StepContexts, spec: InputDefinition) -> Any:
        plan = next((i for i in self.request.step.inputs if i.name == spec.name), None)
        if plan is not None and plan.sources:
            stored = self.request.inputs.get(spec.name, ())
            values = [self._load(contexts, spec, one) for one in stored]
            if plan.fan_in or plan.collect:
                return values
            if not values:
                raise DagsterInvariantViolationError(f"step '{self.key}' was started without its input '{spec.name}'.")
            return values[0]
        return self._unconnected(contexts, spec)

    def _unconnected(self, contexts: StepContexts, spec: InputDefinition) -> Any:
        """The value of an input that no output is connected to: an asset, run config, the job's input, or the default."""
        source = contexts.assets.source(spec.name)
        if source is not None:
            return self._load_asset(contexts, spec, source)
        given = contexts.op_config.inputs.get(spec.name)
        wired = contexts.wired.inputs.get(spec.name)
        if given is None and wired is not None and wired.graph_input is not None:
            if wired.graph_input in self.request.job.input_values:
                return self.request.job.input_values[wired.graph_input]
            given = self.scope.config.inputs.get(wired.graph_input)
            outer = self.request.job.graph.input_dict[wired.graph_input]
            if given is None and outer.has_default:
                return outer.default_value
        if given is not None:
            if "loaded" in given:
                with self._boundary(DagsterTypeLoadingError, self._loading(spec)):
                    return spec.type.loader.construct_from_config_value(contexts.for_loader(spec.type), given["loaded"])
            with self._boundary(DagsterExecutionLoadInputError, self._loading(spec)):
                return _from_config(given)
        if spec.input_manager_key is not None:
            return self._load_unmade(contexts, spec, spec.input_manager_key)
        if spec.has_default:
            return spec.default_value
        raise DagsterInvariantViolationError(f"step '{self.key}' has no value for its input '{spec.name}'.")

    def _load(self, contexts: StepContexts, spec: InputDefinition, stored: StoredOutput) -> Any:
        out = contexts.upstream_definition(stored)
        if out.type.is_nothing:
            return None
        manager_key = spec.input_manager_key or str((stored.location or {}).get("io_manager") or out.io_manager_key)
        context = contexts.for_input(spec, stored, manager_key)
        with self._boundary(DagsterExecutionLoadInputError, self._loading(spec)):
            value = self.scope[manager_key].load_input(context)
        self.tell(
            EventKind.LOADED_INPUT,
            f'Loaded input "{spec.name}" using input manager "{manager_key}", from output "{stored.output}" of step '
            f'"{stored.step}"',
            input=spec.name,
            manager_key=manager_key,
            upstream_output=stored.output,
            upstream_step=stored.step,
            metadata=metadata_body(context.logged_metadata),
        )
        return value

    def _load_unmade(self, contexts: StepContexts, spec: InputDefinition, manager_key: str) -> Any:
        """The value of an input that no step makes, and that has a manager of its own."""
        return self._load_by(contexts.for_input(spec, None, manager_key), spec, manager_key)

    def _load_asset(self, contexts: StepContexts, spec: InputDefinition, source: AssetSource) -> Any:
        """The value of an asset that no step of this run makes."""
        manager_key = spec.input_manager_key or source.io_manager_key
        return self._load_by(contexts.for_source(spec, source, manager_key), spec, manager_key)

    def _load_by(self, context: InputContext, spec: InputDefinition, manager_key: str) -> Any:
        with self._boundary(DagsterExecutionLoadInputError, self._loading(spec)):
            value = self.scope[manager_key].load_input(context)
        message = f'Loaded input "{spec.name}" using input manager "{manager_key}"'
        metadata = metadata_body(context.logged_metadata)
        self.tell(EventKind.LOADED_INPUT, message, input=spec.name, manager_key=manager_key, metadata=metadata)
        return value

    def _loading(self, spec: InputDefinition) -> str:
        return f'Error occurred while loading input "{spec.name}" of step "{self.key}":'

    def _check_input(self, contexts: StepContexts, spec: InputDefinition, value: Any) -> None:
        what = f'step input "{spec.name}"'
        check = checked(contexts, spec.type, value, what)
        self.tell(
            EventKind.STEP_INPUT,
            f'Got input "{spec.name}" of type "{spec.type.display_name}".{verdict(check)}',
            input=spec.name,
            type_check=check_body(spec.name, check),
        )
        refuse(what, spec.type, check)

    # User code ------------------------------------------------------------------------------------------------------------

    def _user_outputs(
        self, contexts: StepContexts, arguments: Mapping[str, Any], context: OpExecutionContext
    ) -> Iterator[AnyOutput | StepNote]:
        stream = outputs_of(contexts.op, arguments, context, contexts.assets)
        executing = f'Error occurred while executing op "{self.request.step.node}":'
        while True:
            began = time.perf_counter()
            with self._boundary(DagsterExecutionStepExecutionError, executing):
                output = next(stream, None)
            self.user_code_s += time.perf_counter() - began
            if output is None:
                return
            yield output

    def _boundary(self, wrapper: type[DagsterUserCodeExecutionError], doing: str) -> _Boundary:
        return _Boundary(self.request, wrapper, doing)

    # After user code ------------------------------------------------------------------------------------------------------

    def _keep(self, contexts: StepContexts, output: AnyOutput, context: OpExecutionContext) -> None:
        """Check one output, keep it by its IO manager, and say that it is there."""
        out, mapping_key = self._declared(contexts, output)
        added = context.get_output_metadata(out.name, mapping_key) or {}
        metadata = metadata_body({**output.metadata, **added})
        if self.ended is not None:
            self.ended.note_output(out, mapping_key, output.value, {**output.metadata, **added})
        what = f'step output "{out.name}"'
        has_value = contexts.assets.has_value(output)
        check = checked(contexts, out.type if has_value else ANY, output.value, what)
        # An output that is not of its type is not there: it is neither kept nor announced.
        refuse(what, out.type, check)
        location: dict[str, Any] | None = None
        handled: Mapping[str, Any] = {}
        value: bytes | None = None
        if has_value and not out.type.is_nothing:
            location, handled, value = self._hand_over(contexts, out, mapping_key, output)
        of_key = f' mapping key "{mapping_key}"' if mapping_key is not None else ""
        body = {
            "message": f'Yielded output "{out.name}"{of_key} of type "{out.type.display_name}".{verdict(check)}',
            "output": out.name,
            "mapping_key": mapping_key,
            "location": location,
            "type_check": check_body(out.name, check),
            "metadata": metadata,
        }
        self.emit(NewEvent(EventKind.STEP_OUTPUT.value, self.key, self.request.n, body, time.time(), value))
        self._note(contexts.assets.kept(output, {**metadata, **metadata_body(handled)}, context))
        if location is not None:
            message = f'Handled output "{out.name}" using IO manager "{out.io_manager_key}"'
            self.tell(
                EventKind.HANDLED_OUTPUT,
                message,
                output=out.name,
                manager_key=out.io_manager_key,
                metadata=metadata_body(handled),
            )

    def _declared(self, contexts: StepContexts, output: AnyOutput) -> tuple[OutputDefinition, str | None]:
        """The definition of an output that user code gave; refuses what is not declared, or is there twice."""
        op = contexts.op
        name = output.output_name
        if name not in op.output_dict:
            raise DagsterInvariantViolationError(
                f'Core compute for op "{op.name}" returned an output "{name}" that does not exist. The available outputs are '
                f"{list(op.output_dict)}"
            )
        out: OutputDefinition = op.output_dict[name]
        keys = self.seen.setdefault(name, set())
        if isinstance(output, DynamicOutput):
            if not out.is_dynamic:
                raise DagsterInvariantViolationError(
                    f'Compute for op "{op.name}" yielded a DynamicOutput, but did not use DynamicOut for "{name}".'
                )
            if output.mapping_key in keys:
                raise DagsterInvariantViolationError(
                    f'Compute for op "{op.name}" yielded a DynamicOutput with mapping_key "{output.mapping_key}" multiple times.'
                )
            keys.add(output.mapping_key)
            return out, output.mapping_key
        if out.is_dynamic:
            raise DagsterInvariantViolationError(
                f'Compute for op "{op.name}" for output "{name}" defined as dynamic must yield DynamicOutput, got Output.'
            )
        if keys:
            raise DagsterInvariantViolationError(
                f'Compute for op "{op.name}" returned an output "{name}" multiple times'
            )
        keys.add(None)
        return out, None

    def _hand_over(
        self, contexts: StepContexts, out: OutputDefinition, mapping_key: str | None, output: AnyOutput
    ) -> tuple[dict[str, Any], Mapping[str, Any], bytes | None]:
        context = contexts.for_output(out, mapping_key, output.metadata)
        handling = f'Error occurred while handling output "{out.name}" of step "{self.key}":'
        with self._boundary(DagsterExecutionHandleOutputError, handling):
            given = self.scope[out.io_manager_key].handle_output(context, output.value)
            for extra in given if hasattr(given, "__next__") else ():
                if isinstance(extra, Mapping):
                    context.add_output_metadata(extra)
        location = {**context.recorded_location, "io_manager": out.io_manager_key}
        return location, context.logged_metadata, context.kept_value

    def _check_complete(self, contexts: StepContexts, context: OpExecutionContext) -> None:
        for out in contexts.op.output_dict.values():
            if out.name in self.seen or out.is_dynamic or not out.is_required:
                continue
            if not out.type.is_nothing:
                raise DagsterStepOutputNotFoundError(
                    f'Core compute for op "{contexts.op.name}" did not return an output for non-optional output "{out.name}"'
                )
            self._keep(contexts, Output(None, out.name), context)

    # The outcome ----------------------------------------------------------------------------------------------------------

    def _conclude(self, error: BaseException) -> None:
        """The outcome of an attempt that did not succeed: another one, or failure."""
        if self.ended is not None:
            self.ended.exception = _users_own(error)
        if isinstance(error, RetryRequested):
            self._retry_or_fail(error, error.max_retries, error.seconds_to_wait or 0.0, FailureCause.USER_RETRY)
            return
        policy = self.request.step.retry
        if policy is not None and isinstance(error, (RetryRequestedFromPolicy, DagsterResourceFunctionError)):
            delay = draw_delay(policy, self.request.retry_number + 1)
            self._retry_or_fail(error, policy.max_retries, delay, _cause_of(error))
            return
        self._fail(error_info(error), error)

    def _retry_or_fail(self, error: BaseException, max_retries: int, delay: float, cause: FailureCause) -> None:
        info = error_info(error)
        if not self.request.retries_enabled:
            self._fail(info, error)
        elif self.request.retry_number >= max_retries:
            message = f"Exceeded max_retries of {max_retries}"
            exhausted = ErrorInfo(f"{message}\n", info.stack, info.cls_name, info.cause, info.context)
            self._fail(exhausted, error, DagsterMaxRetriesExceededError(message))
        else:
            wait = f" in {_seconds(delay)} seconds" if delay else ""
            self.tell(
                EventKind.STEP_UP_FOR_RETRY,
                f'Execution of step "{self.key}" failed and has requested a retry{wait}.',
                seconds_to_wait=delay,
                error=info.to_body(),
                cause=cause.value,
                **self._what_follows(),
            )

    def _what_follows(self) -> dict[str, Any]:
        """For the outcome's event: that hooks follow, so that nobody takes the process for one that does not end."""
        return {} if self.ended is None else {"hooks": self.ended.names}

    def _fail(self, info: ErrorInfo, error: BaseException, instead: DagsterError | None = None) -> None:
        """Failure. A run in this process raises what the user raised; `instead` of it, from it, where that is given."""
        if self.request.raised is not None:
            users = error.__cause__ if isinstance(error, RetryRequested) and error.__cause__ else _users_own(error)
            if instead is not None:
                instead.__cause__ = users
            self.request.raised(users if instead is None else instead)
        self.tell(
            EventKind.STEP_FAILURE,
            f'Execution of step "{self.key}" failed.',
            error=info.to_body(),
            cause=_cause_of(error).value,
            user_failure=_user_failure(error),
            **self._what_follows(),
        )


class _Boundary:
    """Where user code runs: what it raises is wrapped, so that the outcome says what was being done."""

    def __init__(self, request: StepRequest, wrapper: type[DagsterUserCodeExecutionError], doing: str) -> None:
        self._request = request
        self._wrapper = wrapper
        self._doing = doing

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, (DagsterError, RetryRequested, FencedError)):
            return
        policy = self._request.step.retry
        if isinstance(error, Failure) and (not error.allow_retries or policy is None):
            return
        if policy is not None:
            raise RetryRequestedFromPolicy(self._doing) from error
        raise self._wrapper(self._doing) from error


def _users_own(error: BaseException) -> BaseException:
    """What user code raised, without what we wrapped it in."""
    wrapped = isinstance(error, (DagsterUserCodeExecutionError, RetryRequestedFromPolicy))
    return error.__cause__ if wrapped and error.__cause__ is not None else error


def _from_config(given: Mapping[str, Any]) -> Any:
    """An input's value as run config gives it: the value, or a JSON or pickle file that holds it."""
    if "value" in given:
        return given["value"]
    if "json" in given:
        return json.loads(Path(given["json"]["path"]).read_text(encoding="utf-8"))
    with Path(given["pickle"]["path"]).open("rb") as file:
        return pickle.load(file)


def _cause_of(error: BaseException) -> FailureCause:
    """Why the attempt failed, by what was raised in the end and what that was raised from."""
    if isinstance(error, DagsterExecutionInterruptedError):
        return error.why
    if isinstance(error, FencedError):
        return FailureCause.LOST
    inner = error.__cause__ or error
    if isinstance(inner, MemoryError):
        return FailureCause.OUT_OF_MEMORY
    if isinstance(error, RetryRequested):
        return FailureCause.USER_RETRY
    framework = (DagsterResourceFunctionError, DagsterExecutionLoadInputError)
    return FailureCause.FRAMEWORK if isinstance(error, framework) or not _is_users(error) else FailureCause.USER_CODE


def _is_users(error: BaseException) -> bool:
    """Whether the user's function is at fault, by what it raised or by what it gave."""
    return isinstance(error, (DagsterError, Failure)) or not isinstance(error, Exception)


def _user_failure(error: BaseException) -> dict[str, Any] | None:
    failure = error if isinstance(error, Failure) else error.__cause__
    if not isinstance(failure, Failure):
        return None
    return {
        "label": "intentional-failure",
        "description": failure.description,
        "metadata": metadata_body(failure.metadata),
    }


def _seconds(delay: float) -> str:
    return f"{round(delay, 2):g}"
