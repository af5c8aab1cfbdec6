"""Dagster's public names that are not here: which come later, which never, and what to use instead.

`tests/parity/test_public_names.py` holds it to a real Dagster: each of its names is in the package, or in this table. Only loaded for a
name that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

DAGSTER = "1.13.27"
"""The version whose names these are."""


@dataclass(frozen=True)
class Absent:
    """Names that are not here for one reason.

    Attributes:
        when: ``later`` or ``never``.
        instead: what it is about, and what to use.
        listed: the names, in order, between white space.
    """

    when: str
    instead: str
    listed: str

    @property
    def names(self) -> frozenset[str]:
        """The names."""
        return frozenset(self.listed.split())


ABSENT: tuple[Absent, ...] = (
    Absent(
        "later",
        "Partitions are not in this version. Until then: one run per partition, its key as config.",
        """
        AddDynamicPartitionsRequest AllPartitionMapping AssetPartitionStatus AutoMaterializeAssetPartitionsFilter
        BackfillPolicy DagsterUnknownPartitionError DailyPartitionsDefinition DataVersionsByPartition
        DeleteDynamicPartitionsRequest DimensionPartitionMapping DynamicPartitionsDefinition
        HourlyPartitionsDefinition IdentityPartitionMapping LastPartitionMapping MonthlyPartitionsDefinition
        MultiPartitionKey MultiPartitionMapping MultiPartitionsDefinition MultiToSingleDimensionPartitionMapping
        Partition PartitionKeyRange PartitionMapping PartitionedConfig PartitionsDefinition
        SpecificPartitionsPartitionMapping StaticPartitionMapping StaticPartitionsDefinition TimeWindow
        TimeWindowPartitionMapping TimeWindowPartitionsDefinition WeeklyPartitionsDefinition daily_partitioned_config
        dynamic_partitioned_config hourly_partitioned_config monthly_partitioned_config partition_loading_context
        partitioned_config static_partitioned_config weekly_partitioned_config
        """,
    ),
    Absent(
        "later",
        "Automation and freshness are not in this version. Until then: a cron job that calls `runplane job launch`.",
        """
        AutoMaterializePolicy AutoMaterializeRule AutomationCondition AutomationConditionSensorDefinition
        AutomationContext AutomationResult EvaluateAutomationConditionsResult FreshnessPolicy LegacyFreshnessPolicy
        apply_freshness_policy build_last_update_freshness_checks build_sensor_for_freshness_checks
        build_time_partition_freshness_checks evaluate_automation_conditions
        """,
    ),
    Absent(
        "later",
        "Schedules and sensors are not in this version. Until then: a cron job that calls `runplane job launch`.",
        """
        AssetSensorDefinition CodeLocationSelector DefaultScheduleStatus DefaultSensorStatus JobSelector
        MultiAssetSensorDefinition MultiAssetSensorEvaluationContext RepositorySelector RunFailureSensorContext
        RunRequest RunStatusSensorContext RunStatusSensorDefinition ScheduleDefinition ScheduleEvaluationContext
        SensorDefinition SensorEvaluationContext SensorResult SensorReturnTypesUnion SkipReason asset_sensor
        build_multi_asset_sensor_context build_run_status_sensor_context build_schedule_context
        build_schedule_from_partitioned_job build_sensor_context make_email_on_run_failure_sensor multi_asset_sensor
        run_failure_sensor run_status_sensor schedule sensor
        """,
    ),
    Absent(
        "later",
        "Pipes are not in this version. Until then: `subprocess` in an op, whose output is in the log of the step.",
        """
        PipesBlobStoreMessageReader PipesClient PipesClientCompletedInvocation PipesCompositeMessageReader
        PipesContextInjector PipesEnvContextInjector PipesExecutionResult PipesFileContextInjector
        PipesFileMessageReader PipesLaunchedData PipesLogReader PipesMessageHandler PipesMessageReader PipesSession
        PipesSubprocessClient PipesTempFileContextInjector PipesTempFileMessageReader open_pipes_session
        """,
    ),
    Absent(
        "later",
        "Reading runs and events by these classes is not in this version. Until then: `runplane run list` and `runplane run events`, both with `--json`.",
        """
        AssetRecordsFilter AssetValueLoader EventLogEntry EventLogRecord EventRecordsFilter EventRecordsResult
        PaginatedResults RunRecord RunShardedEventsCursor RunStatusChangeRecordsFilter RunsFilter
        """,
    ),
    Absent(
        "later",
        "This part of assets is not in this version.",
        """
        AssetJobKey AssetOrCheckKey DataProvenance
        build_asset_check_context build_asset_context build_column_schema_change_checks build_metadata_bounds_checks
        link_code_references_to_git map_asset_specs multi_observable_source_asset observable_source_asset
        with_resources with_source_code_references
        """,
    ),
    Absent(
        "later",
        "Definitions are not collected from modules in this version. Until then: name them in one `Definitions(...)`.",
        """
        load_definitions_from_current_module load_definitions_from_module load_definitions_from_modules
        load_definitions_from_package_module load_definitions_from_package_name
        """,
    ),
    Absent(
        "later",
        "This is not in this version. Until then: `FilesystemIOManager(base_dir=...)`, or an `IOManager` of your own.",
        """
        ConfigurableLegacyIOManagerAdapter FileHandle LocalFileHandle MigrateIOStorageResult
        custom_path_fs_io_manager local_file_manager migrate_io_storage
        """,
    ),
    Absent(
        "never",
        "It is named in dagster.yaml, and never imported.",
        """
        DefaultRunLauncher QueuedRunCoordinator
        """,
    ),
    Absent(
        "never",
        "Components and their project folders are not part of runplane. Write the definitions in Python.",
        """
        AssetAttributesModel Component ComponentFormConfig ComponentLoadContext ComponentTree ComponentTypeSpec
        DagsterLibraryRegistry DefinitionsComponent DefsFolderComponent FunctionComponent Injected Model
        PythonScriptComponent ResolutionContext Resolvable ResolvedAssetCheckSpec ResolvedAssetKey ResolvedAssetSpec
        Resolver ScaffoldRequest Scaffolder SqlComponent StateBackedComponent TemplatedSqlComponent
        UPathDefsStateStorage UvRunComponent build_component_defs build_defs_for_component component_defs
        component_instance definitions get_all_components_defs_within_project get_component_defs_within_project
        load_defs load_from_defs_folder scaffold_component scaffold_with template_var
        """,
    ),
    Absent(
        "never",
        "Documents are written and read by `runplane.serdes`, whose forms have versions.",
        """
        deserialize_value serialize_value
        """,
    ),
    Absent(
        "never",
        "Graphs are composed by the body of a `@graph` or `@job`.",
        """
        DependencyDefinition InputMapping MultiDependencyDefinition NodeInvocation OutputMapping
        """,
    ),
    Absent(
        "never",
        "Steps are started by executors: docs/howto/write-an-executor.md makes one.",
        """
        Executor StepExecutionContext StepLauncher StepRunRef external_instance_from_step_run_ref
        raise_execution_interrupts run_step_from_ref step_context_to_step_run_ref step_run_ref_to_step_context
        """,
    ),
    Absent(
        "never",
        "What is not stable is said in docs/flaws.md, and not by warnings.",
        """
        BetaWarning ConfigArgumentWarning PreviewWarning SupersessionWarning deprecation_warning
        """,
    ),
    Absent(
        "never",
        "It is a name of `typing`, or of `collections.abc`. Import it from there.",
        """
        Callable Final Mapping Sequence TYPE_CHECKING TypingAny TypingTuple
        """,
    ),
    Absent(
        "never",
        "It is an internal of Dagster, or an older form. `context.log` is a `logging.Logger`, metadata is a mapping, definitions are one `Definitions(...)`.",
        """
        AnchorBasedFilePathMapping BindResourcesToJobs ConfigSchema DagsterEventLogInvalidForRun DagsterLogManager
        FilePathMapping IAttachDifferentObjectToOpContext MetadataEntry RepositoryData SubmitRunContext
        create_repository_using_definitions_args resources
        """,
    ),
)


def absent(name: str) -> Absent | None:
    """Why `name` is not here; None when Dagster has no such name either."""
    return next((group for group in ABSENT if name in group.names), None)
