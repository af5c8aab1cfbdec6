"""The assets of one step: what its outputs are, what user code may give for them, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...events.asset_key import AssetKey
from ...events.kinds import EventKind
from ..errors import DagsterAssetCheckFailedError, DagsterInvariantViolationError
from ..metadata import metadata_body
from ..op_context import OpExecutionContext
from ..results import DynamicOutput, Output, Valueless
from ..step_assets import AssetSource, StepAssets, StepNote
from .assets_definition import AssetChecksDefinition, AssetsDefinition
from .context import AssetCheckExecutionContext, AssetExecutionContext
from .decorated import RESULTS
from .results import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetCheckSeverity,
    MaterializeResult,
    ObserveResult,
)
from .spec import AssetCheckSpec

DATA_VERSION_TAG = "dagster/data_version"
USER_VERSION_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"


@dataclass
class AssetStep(StepAssets):
    """The assets of one step.

    Attributes:
        definition: what makes them, with what is selected.
        is_whole: the step is all of the definition (an op); otherwise it is one op of its graph.
        outputs: by output, the asset that it is.
        checks: by output, the check that it is.
        inputs: by input, the asset that it takes.
        sources: by input, where it is loaded from when no step of the run makes it.
        all_outputs: by op and output, the assets of the whole run.
    """

    definition: AssetsDefinition
    is_whole: bool
    outputs: Mapping[str, AssetKey]
    checks: Mapping[str, AssetCheckSpec]
    inputs: Mapping[str, AssetKey]
    sources: Mapping[str, AssetSource]
    all_outputs: Mapping[tuple[str, str], AssetKey]

    def __post_init__(self) -> None:
        self._failed: list[AssetCheckSpec] = []
        self._given: set[AssetKey] = set()

    # What is known --------------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> Sequence[AssetKey]:
        """See ``StepAssets``."""
        return sorted(key for key in self.outputs.values() if key in self.definition.keys)

    @property
    def check_keys(self) -> Sequence[str]:
        """See ``StepAssets``."""
        selected = self.definition.check_keys
        return sorted(spec.key.to_user_string() for spec in self.checks.values() if spec.key in selected)

    def output_key(self, output: str) -> AssetKey | None:
        """See ``StepAssets``."""
        return self.outputs.get(output)

    def output_key_of(self, step_node: str, output: str) -> AssetKey | None:
        """See ``StepAssets``."""
        return self.all_outputs.get((step_node, output))

    def input_key(self, name: str) -> AssetKey | None:
        """See ``StepAssets``."""
        return self.inputs.get(name)

    def source(self, name: str) -> AssetSource | None:
        """See ``StepAssets``."""
        return self.sources.get(name)

    def make_context(self, **arguments: Any) -> OpExecutionContext:
        """A context of assets, unless the function asks for an op's by its annotation; ops of a graph ask the other way round."""
        asked = _context_annotation(arguments["op_def"].compute_fn)
        if asked == "OpExecutionContext" or (not self.is_whole and not asked.startswith("Asset")):
            return OpExecutionContext(**arguments)
        of_checks = isinstance(self.definition, AssetChecksDefinition)
        made = AssetCheckExecutionContext if of_checks and asked != "AssetExecutionContext" else AssetExecutionContext
        return made(assets_def=self.definition, keys_by_output=self.outputs, keys_by_input=self.inputs, **arguments)

    # What user code gives -------------------------------------------------------------------------------------------------

    def returned(self, value: Any) -> Any:
        """Results in place of values: given one by one, as if they had been yielded."""
        if isinstance(value, RESULTS):
            return _one_by_one([value])
        if isinstance(value, (tuple, list)) and any(isinstance(part, RESULTS) for part in value):
            names = [*self.outputs, *self.checks]
            return _one_by_one(_named(part, names[i] if i < len(names) else "result") for i, part in enumerate(value))
        return value

    def results(self, item: Any, context: OpExecutionContext) -> Iterator[Any]:
        """See ``StepAssets``."""
        if isinstance(item, (MaterializeResult, ObserveResult)):
            yield from self._asset_result(item, context)
        elif isinstance(item, AssetCheckResult):
            yield self._check_output(item)
        elif isinstance(item, AssetCheckEvaluation):
            yield item.to_note()
        else:
            if isinstance(item, Output):
                self._in_order(item.output_name)
            yield item

    def _in_order(self, output: str) -> None:
        """Refuse an asset that comes before one that it is made from, of the same function.

        Raises:
            DagsterInvariantViolationError: it does.
        """
        key = self.outputs.get(output)
        if key is None:
            return
        self._given.add(key)
        for dep in self.definition.specs_by_key[key].deps:
            own = dep.asset_key in self.definition.keys and dep.asset_key in self.outputs.values()
            if own and dep.asset_key not in self._given:
                raise DagsterInvariantViolationError(
                    f'Asset "{key.to_user_string()}" was yielded before its dependency "{dep.asset_key.to_user_string()}". '
                    "Multiassets yielding multiple asset outputs must yield them in topological order."
                )

    def _asset_result(
        self, result: MaterializeResult[Any] | ObserveResult, context: OpExecutionContext
    ) -> Iterator[Any]:
        output = self._output_for(result.asset_key, type(result).__name__)
        self._in_order(output)
        has_value = isinstance(result, MaterializeResult) and result.has_value
        value = result.value if isinstance(result, MaterializeResult) and has_value else None
        made = Output(value, output, metadata=result.metadata, data_version=result.data_version, tags=result.tags)
        yield made if has_value else Valueless.of(made)
        for check in result.check_results:
            if check.asset_key is None:
                check.asset_key = self.outputs[output]
            yield self._check_output(check)

    def _output_for(self, key: AssetKey | None, what: str) -> str:
        if key is None:
            if len(self.outputs) != 1:
                raise DagsterInvariantViolationError(
                    f"{what} did not include asset_key and it can not be inferred. Specify which asset_key, options are: "
                    f"{sorted(key.to_user_string() for key in self.outputs.values())}"
                )
            return next(iter(self.outputs))
        for output, found in self.outputs.items():
            if found == key:
                return output
        raise DagsterInvariantViolationError(
            f"Asset key {key.to_user_string()} not found in AssetsDefinition",
            expected=", ".join(sorted(k.to_user_string() for k in self.outputs.values())) or "a check's result",
        )

    def _check_output(self, result: AssetCheckResult) -> Output[Any]:
        """The output that stands for a check, which holds the result."""
        fitting = {
            output: spec
            for output, spec in self.checks.items()
            if result.check_name in (None, spec.name) and result.asset_key in (None, spec.asset_key)
        }
        if len(fitting) != 1:
            known = sorted(spec.key.to_user_string() for spec in self.checks.values())
            asked = f"check_name={result.check_name!r}, asset_key={result.asset_key!r}"
            raise DagsterInvariantViolationError(
                "Received a result of a check that is not known, or of which it is not clear which check is meant.",
                got=asked,
                expected=", ".join(known) or "no check: this step evaluates none",
            )
        return Output(result, next(iter(fitting)))

    # What is told ---------------------------------------------------------------------------------------------------------

    def has_value(self, output: Output[Any] | DynamicOutput[Any]) -> bool:
        """See ``StepAssets``."""
        return output.output_name not in self.checks and not isinstance(output, Valueless)

    def kept(
        self, output: Output[Any] | DynamicOutput[Any], metadata: Mapping[str, Any], context: OpExecutionContext
    ) -> Iterator[StepNote]:
        """See ``StepAssets``."""
        name = output.output_name
        if name in self.checks:
            yield self._evaluated(self.checks[name], output.value)
        elif name in self.outputs:
            yield self._materialized(self.outputs[name], output, metadata, context)

    def _materialized(
        self,
        key: AssetKey,
        output: Output[Any] | DynamicOutput[Any],
        metadata: Mapping[str, Any],
        context: OpExecutionContext,
    ) -> StepNote:
        tags: dict[str, str] = {}
        code_version = self.definition.specs_by_key[key].code_version
        if code_version is not None:
            tags[CODE_VERSION_TAG] = code_version
        version = getattr(output, "data_version", None)
        added: Mapping[str, Any] = {}
        if isinstance(context, AssetExecutionContext):
            added = context.asset_metadata.get(key, {})
            version = version or context.data_versions.get(key)
        if version is not None:
            tags |= {DATA_VERSION_TAG: str(getattr(version, "value", version)), USER_VERSION_TAG: "true"}
        tags |= getattr(output, "tags", {})
        body: dict[str, Any] = {
            "asset_key": key.to_escaped_user_string(),
            "metadata": {**metadata, **metadata_body(added)},
        }
        if tags:
            body["tags"] = tags
        return StepNote(EventKind.ASSET_MATERIALIZATION, f"Materialized value {' '.join(key.path)}.", body)

    def _evaluated(self, spec: AssetCheckSpec, result: Any) -> StepNote:
        if not isinstance(result, AssetCheckResult):
            raise DagsterInvariantViolationError(
                f"the check '{spec.key.to_user_string()}' gave no AssetCheckResult.", got=type(result).__name__
            )
        if spec.blocking and not result.passed and result.severity is AssetCheckSeverity.ERROR:
            self._failed.append(spec)
        return result.to_evaluation(spec.key, blocking=spec.blocking).to_note()

    def concluded(self) -> None:
        """See ``StepAssets``.

        Raises:
            DagsterAssetCheckFailedError: a blocking check did not pass.
        """
        if self._failed:
            checks = "check" if len(self._failed) == 1 else "checks"
            listed = "\n".join(f"{s.asset_key.to_user_string()}: {s.name}" for s in self._failed)
            raise DagsterAssetCheckFailedError(
                f"{len(self._failed)} blocking asset {checks} failed with ERROR severity:\n{listed}"
            )


def _one_by_one(items: Iterable[Any]) -> Iterator[Any]:
    yield from items


def _named(part: Any, output: str) -> Any:
    if isinstance(part, RESULTS):
        return part
    if isinstance(part, Output):
        part.output_name = output
        return part
    return Output(part, output)


def _context_annotation(fn: Callable[..., Any]) -> str:
    """Name of the class that the first parameter is annotated with; empty when it is not annotated."""
    code = getattr(fn, "__code__", None)
    if code is None or not code.co_argcount:
        return ""
    annotation = getattr(fn, "__annotations__", {}).get(code.co_varnames[0], "")
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return str(text).rpartition(".")[2]
