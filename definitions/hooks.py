"""Hooks: functions that are called after each step of an op that succeeded, or that failed for good.

They change nothing: a hook that raises is an event of its own, and the step stays what it is.
Source: https://docs.dagster.io/guides/build/ops/op-hooks and https://docs.dagster.io/api/dagster/hooks
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ..serdes.record import frozen_record
from .errors import DagsterInvalidDefinitionError, DagsterInvalidInvocationError
from .names import check_name

HookFn = Callable[[Any, Sequence[Any]], "HookExecutionResult"]
"""From a ``HookContext`` and the step's ``DagsterEvent``s; both are loaded where a hook is called."""


@frozen_record
class HookExecutionResult:
    """What came of a hook: `is_skipped` when the step did not end in the way that it waits for."""

    hook_name: str
    is_skipped: bool | None = None


class HookDefinition:
    """A hook.

    Attributes:
        name: its name.
        hook_fn: called with the context and the step's events.
        required_resource_keys: the resources it uses.
        decorated_fn: the user's function, for tests; None when it was made without a decorator.
    """

    def __init__(
        self,
        *,
        name: str,
        hook_fn: HookFn,
        required_resource_keys: AbstractSet[str] | None = None,
        decorated_fn: Callable[..., Any] | None = None,
    ) -> None:
        self.name = check_name(name)
        self.hook_fn = hook_fn
        self.required_resource_keys = frozenset(required_resource_keys or ())
        self.decorated_fn = decorated_fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a decorator of a job: the job with this hook. With a context: a call of the user's function, in tests.

        Raises:
            DagsterInvalidInvocationError: neither, or the hook has no function of a user's.
        """
        if len(args) == 1 and not kwargs and hasattr(args[0], "with_hooks"):
            return args[0].with_hooks({self})
        if self.decorated_fn is None or len(args) + len(kwargs) != 1:
            raise DagsterInvalidInvocationError(
                f"hook '{self.name}' takes exactly one argument.",
                expected="a job to put it on, or a context from build_hook_context",
            )
        return self.decorated_fn(*args, *kwargs.values())

    def __repr__(self) -> str:
        return f"<hook {self.name}>"


def success_hook(
    hook_fn: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
    required_resource_keys: AbstractSet[str] | None = None,
) -> Any:
    """Make a hook of a function ``fn(context)`` that is called after each success of a step.

    Args:
        name: not given: the function's.
        required_resource_keys: the resources it uses by ``context.resources``.

    Raises:
        DagsterInvalidDefinitionError: the function does not take exactly one argument.
    """

    def wrap(fn: Callable[[Any], Any]) -> HookDefinition:
        return _hook(fn, "STEP_SUCCESS", name, required_resource_keys)

    return wrap if hook_fn is None else wrap(hook_fn)


def failure_hook(
    name: Callable[[Any], Any] | str | None = None, required_resource_keys: AbstractSet[str] | None = None
) -> Any:
    """Make a hook of a function ``fn(context)`` that is called after each failure of a step; not after an attempt that is tried again.

    Args:
        name: not given: the function's (or the function, when used without parentheses).
        required_resource_keys: the resources it uses by ``context.resources``.

    Raises:
        DagsterInvalidDefinitionError: the function does not take exactly one argument.
    """

    def wrap(fn: Callable[[Any], Any]) -> HookDefinition:
        return _hook(fn, "STEP_FAILURE", name if isinstance(name, str) else None, required_resource_keys)

    return wrap(name) if callable(name) else wrap


def _hook(fn: Callable[[Any], Any], waits_for: str, name: str | None, keys: AbstractSet[str] | None) -> HookDefinition:
    hook_name = name or fn.__name__
    parameters = inspect.signature(fn).parameters
    if len(parameters) != 1:
        raise DagsterInvalidDefinitionError(
            f"the function of hook '{hook_name}' takes one argument, the context.", got=f"{len(parameters)} arguments"
        )

    def call(context: Any, event_list: Sequence[Any]) -> HookExecutionResult:
        if not any(event.event_type_value == waits_for for event in event_list):
            return HookExecutionResult(hook_name, is_skipped=True)
        fn(context)
        return HookExecutionResult(hook_name, is_skipped=False)

    return HookDefinition(name=hook_name, hook_fn=call, required_resource_keys=keys, decorated_fn=fn)


def checked_hooks(given: Iterable[Any] | None, where: str) -> frozenset[HookDefinition]:
    """The hooks that a user gave.

    Raises:
        DagsterInvalidDefinitionError: something that is no hook.
    """
    hooks = frozenset(given or ())
    for hook in hooks:
        if not isinstance(hook, HookDefinition):
            raise DagsterInvalidDefinitionError(
                "this is no hook.", where=where, got=type(hook).__name__, expected="@success_hook or @failure_hook"
            )
    return hooks
