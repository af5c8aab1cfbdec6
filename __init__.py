"""Runplane launches workflow runs and executes their steps.

The public names are loaded when they are first used: ``import runplane`` itself imports next to nothing. They are Dagster's names
with Dagster's meaning, so a user's file changes its import only.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "definitions.op": ("OpDefinition", "op"),
    "definitions.job": ("GraphDefinition", "JobDefinition", "graph", "job"),
    "definitions.building": (
        "build_init_resource_context",
        "build_input_context",
        "build_output_context",
        "build_resources",
    ),
    "definitions.hooks": ("HookDefinition", "HookExecutionResult", "failure_hook", "success_hook"),
    "definitions.logger": (
        "InitLoggerContext",
        "JsonLogFormatter",
        "LoggerDefinition",
        "build_init_logger_context",
        "colored_console_logger",
        "default_loggers",
        "default_system_loggers",
        "get_dagster_logger",
        "json_console_logger",
        "logger",
    ),
    "definitions.hook_context": ("HookContext", "build_hook_context"),
    "definitions.dagster_event": ("DagsterEvent", "DagsterEventType"),
    "definitions.ins_outs": ("DynamicOut", "GraphIn", "GraphOut", "In", "Out"),
    "definitions.value_type": ("Nothing",),
    "definitions.dagster_type": (
        "DagsterType",
        "DagsterTypeLoader",
        "DagsterTypeLoaderContext",
        "PythonObjectDagsterType",
        "TypeCheckContext",
        "check_dagster_type",
        "dagster_type_loader",
        "make_python_type_usable_as_dagster_type",
        "usable_as_dagster_type",
    ),
    "definitions.expectation_result": ("ExpectationResult",),
    "definitions.results": ("DynamicOutput", "Failure", "Output", "RetryRequested", "TypeCheck"),
    "definitions.metadata_values": (
        "BoolMetadataValue",
        "CodeReferencesMetadataValue",
        "DagsterAssetMetadataValue",
        "DagsterJobMetadataValue",
        "DagsterRunMetadataValue",
        "FloatMetadataValue",
        "IntMetadataValue",
        "JsonMetadataValue",
        "LocalFileCodeReference",
        "MarkdownMetadataValue",
        "MetadataValue",
        "NotebookMetadataValue",
        "NullMetadataValue",
        "PathMetadataValue",
        "PoolMetadataValue",
        "PythonArtifactMetadataValue",
        "TableColumn",
        "TableColumnConstraints",
        "TableColumnDep",
        "TableColumnLineage",
        "TableColumnLineageMetadataValue",
        "TableConstraints",
        "TableMetadataValue",
        "TableRecord",
        "TableSchema",
        "TableSchemaMetadataValue",
        "TextMetadataValue",
        "TimestampMetadataValue",
        "UrlCodeReference",
        "UrlMetadataValue",
    ),
    "definitions.retry_policy": ("Backoff", "Jitter", "RetryPolicy"),
    "definitions.config_schema": (
        "Array",
        "BoolSource",
        "Enum",
        "EnumValue",
        "Field",
        "IntSource",
        "Map",
        "Noneable",
        "Permissive",
        "ScalarUnion",
        "Selector",
        "Shape",
        "StringSource",
    ),
    "definitions.run_config": ("RunConfig",),
    "definitions.type_names": ("Any", "Bool", "Dict", "Float", "Int", "List", "Optional", "Set", "String", "Tuple"),
    "definitions.config_files": (
        "config_from_files",
        "config_from_pkg_resources",
        "config_from_yaml_strings",
        "file_relative_path",
    ),
    "definitions.config_mapping": ("ConfigMapping", "config_mapping", "configured"),
    "definitions.repository": ("RepositoryDefinition", "repository"),
    "definitions.tags": ("MAX_RUNTIME_SECONDS_TAG",),
    "instance.for_test": ("instance_for_test",),
    "definitions.validate": ("validate_run_config",),
    "definitions.input_manager": ("input_manager",),
    "definitions.resources": ("InitResourceContext", "ResourceDefinition", "make_values_resource", "resource"),
    "definitions.pydantic_config": (
        "Config",
        "ConfigurableIOManager",
        "ConfigurableIOManagerFactory",
        "ConfigurableResource",
        "ConfigurableResourceFactory",
        "PermissiveConfig",
        "ResourceDependency",
        "ResourceParam",
    ),
    "definitions.env_var": ("EnvVar",),
    "definitions.io_manager": (
        "IOManager",
        "IOManagerDefinition",
        "InputContext",
        "InputManager",
        "InputManagerDefinition",
        "OutputContext",
        "io_manager",
    ),
    "definitions.direct": ("build_op_context",),
    "definitions.op_context": ("OpExecutionContext",),
    "definitions.executor_definition": (
        "ExecutorDefinition",
        "ExecutorRequirement",
        "executor",
        "multiple_process_executor_requirements",
    ),
    "definitions.builtin_executors": (
        "celery_executor",
        "celery_k8s_job_executor",
        "in_process_executor",
        "k8s_job_executor",
        "multi_or_in_process_executor",
        "multiprocess_executor",
    ),
    "executors.user_function": ("InitExecutorContext",),
    "executors.foreign_job": ("K8sConfigMergeBehavior", "execute_k8s_job", "k8s_job_op"),
    "definitions.definitions_object": ("Definitions",),
    "definitions.reconstruct": ("ReconstructableJob", "build_reconstructable_job", "reconstructable"),
    "definitions.execute": ("execute_job",),
    "definitions.ports": ("ReexecutionOptions",),
    "definitions.result": ("ExecuteInProcessResult", "JobExecutionResult"),
    "definitions.errors": (
        "DagsterConfigMappingFunctionError",
        "DagsterExecutionInterruptedError",
        "DagsterExecutionStepExecutionError",
        "DagsterExecutionStepNotFoundError",
        "DagsterInvalidConfigDefinitionError",
        "DagsterInvalidDefinitionError",
        "DagsterInvalidInvocationError",
        "DagsterInvalidSubsetError",
        "DagsterInvariantViolationError",
        "DagsterResourceFunctionError",
        "DagsterRunNotFoundError",
        "DagsterStepOutputNotFoundError",
        "DagsterSubprocessError",
        "DagsterTypeCheckDidNotPass",
        "DagsterTypeCheckError",
        "DagsterUnknownResourceError",
        "DagsterUnmetExecutorRequirementsError",
        "DagsterUserCodeExecutionError",
    ),
    "errors.base": ("DagsterError", "FencedError", "RunplaneError"),
    "events.asset_key": ("AssetCheckKey", "AssetKey"),
    "definitions.assets.spec": ("AssetCheckSpec", "AssetDep", "AssetSpec"),
    "definitions.assets.ins_outs": ("AssetIn", "AssetOut"),
    "definitions.assets.assets_definition": ("AssetChecksDefinition", "AssetsDefinition"),
    "definitions.assets.source_asset": ("SourceAsset",),
    "definitions.assets.asset": ("asset",),
    "definitions.assets.multi_asset": ("multi_asset",),
    "definitions.assets.graph_asset": ("graph_asset", "graph_multi_asset"),
    "definitions.assets.asset_check": ("asset_check", "multi_asset_check"),
    "definitions.assets.asset_job": ("define_asset_job",),
    "definitions.assets.selection": ("AssetSelection",),
    "definitions.assets.materialize": ("materialize", "materialize_to_memory"),
    "definitions.assets.results": (
        "AssetCheckEvaluation",
        "AssetCheckResult",
        "AssetCheckSeverity",
        "AssetMaterialization",
        "AssetObservation",
        "DataVersion",
        "MaterializeResult",
        "ObserveResult",
    ),
    "definitions.assets.context": ("AssetCheckExecutionContext", "AssetExecutionContext"),
    "definitions.assets.loading": (
        "load_asset_checks_from_current_module",
        "load_asset_checks_from_modules",
        "load_asset_checks_from_package_module",
        "load_asset_checks_from_package_name",
        "load_assets_from_current_module",
        "load_assets_from_modules",
        "load_assets_from_package_module",
        "load_assets_from_package_name",
    ),
    "outputs.filesystem": ("FilesystemIOManager", "fs_io_manager"),
    "outputs.upath": ("UPathIOManager",),
    "outputs.memory": ("InMemoryIOManager", "mem_io_manager"),
}
_RENAMED = {
    "DagsterRunStatus": ("events.status", "RunStatus"),
    "PendingNodeInvocation": ("definitions.composition", "PendingNode"),
    "DagsterInstance": ("instance.instance", "Instance"),
    "Instance": ("instance.instance", "Instance"),
    "DagsterRun": ("events.run", "Run"),
    "DagsterInvalidConfigError": ("errors.base", "ConfigErrors"),
}
_LAZY = {name: (module, name) for module, names in _WHERE.items() for name in names} | _RENAMED

__all__ = ["__version__", *sorted(_LAZY)]  # noqa: PLE0604 - names of a table


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _LAZY:
        raise _no_such_name(name)
    module, attribute = _LAZY[name]
    found = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    _fill_port()
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _fill_port() -> None:
    """Let definitions reach what they do not import: what runs jobs, and what makes jobs of assets. Both are loaded when first used."""
    ports = importlib.import_module(f"{__name__}.definitions.ports")
    if not ports.is_filled():
        ports.set_in_process_port(_run)
        importlib.import_module(f"{__name__}.definitions.asset_port").set_asset_port(_assets)


def _run(request: Any) -> Any:
    from .workers.in_process import run_in_process

    return run_in_process(request)


def _assets() -> Any:
    from .definitions.assets import location

    return location


def _no_such_name(name: str) -> Exception:
    """What is said of a name that is not there. Of a name of Dagster's: an ImportError, since ``from runplane import name`` hides the
    text of any other error."""
    from .definitions.absent_names import absent
    from .errors.suggest import nearest

    group = absent(name)
    if group is not None:
        never = "" if group.when == "later" else " and will not"
        return ImportError(f"runplane {__version__} does not have Dagster's {name!r}{never}. {group.instead}")
    close = nearest(name, _LAZY)
    meant = f" Did you mean {close!r}?" if close else ""
    return AttributeError(
        f"runplane {__version__} has no {name!r}.{meant} `dir(runplane)` lists the names that are there."
    )
