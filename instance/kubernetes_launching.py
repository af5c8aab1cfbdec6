"""A launcher that makes Jobs, built for an instance. Loaded where it is needed only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..celery_app.settings import celery_settings
from ..config.schema import resolve
from ..events.run import Run
from ..events.status import RunStatus
from ..kube.access import ClusterAccess, cluster_access
from ..kube.client import KubeClient
from ..kube.create_limit import OF_PROCESS, CreateLimit
from ..kube.endpoint import Endpoint
from ..kube.errors import KubeRefusedError
from ..kube.job_facts import Surroundings
from ..kube.leftovers import Why
from ..kube.settings import launcher_settings
from ..kube.shared_folders import unshared
from ..launchers.celery_k8s import CeleryK8sRunLauncher
from ..launchers.contract import CleanedUp
from ..launchers.k8s import K8sRunLauncher
from ..storage.contract import RunFilter
from .check import literal_secrets, not_active_yet
from .class_schemas import CELERY
from .home import IN_A_POD_ENV
from .kubernetes_leftovers import KubernetesLeftovers
from .parts import Part


class KubernetesLaunching:
    """What the launcher sees of its instance, and how it is built.

    Args:
        instance: an ``Instance``.
        shown_as: whose name stands before what it notes.
    """

    def __init__(self, instance: Any, shown_as: type = K8sRunLauncher) -> None:
        self._instance = instance
        self._shown_as = shown_as

    @classmethod
    def launcher(cls, part: Part, instance: Any) -> K8sRunLauncher:
        """The launcher of `part`.

        Raises:
            ConfigErrors: its configuration is not right; pods could not reach the instance's database.
        """
        env: Mapping[str, str] = instance.env
        assert part.known is not None
        config = resolve(part.known.schema, part.config, env, where=part.where, path=part.path)
        settings = launcher_settings(config, env, path=part.path, where=part.where)
        if part.class_name == CeleryK8sRunLauncher.__name__:
            celery_settings(config, env, where=part.where)
        instance.refuse_database_for_pods()

        def find_access() -> ClusterAccess:
            return _trusting(access_of(config, env), config["k8s_api_ssl_ca_cert_file"])

        own = settings.creates_per_second
        limit = OF_PROCESS if own is None else CreateLimit(own)
        if part.class_name != CeleryK8sRunLauncher.__name__:
            return K8sRunLauncher(settings, find_access, cls(instance), limit=limit)
        celery = {key: config.get(key) for key in (*CELERY, "retries")}
        seen = cls(instance, CeleryK8sRunLauncher)
        return CeleryK8sRunLauncher(settings, find_access, seen, celery=celery, limit=limit)

    @cached_property
    def warnings(self) -> Sequence[str]:
        """See ``LaunchingInstance``."""
        return [str(problem) for problem in not_active_yet(self._instance.config)]

    @cached_property
    def surroundings(self) -> Surroundings:
        """See ``LaunchingInstance``."""
        return Surroundings(self._instance.env, self._instance.instance_id, literal_secrets(self._instance.config))

    def note(
        self, run_id: str, message: str, metadata: Mapping[str, Any] | None = None, error: BaseException | None = None
    ) -> None:
        """See ``LaunchingInstance``."""
        data = SimpleNamespace(metadata=metadata or {}, error=error)
        self._instance.report_engine_event(message, run_id=run_id, engine_event_data=data, cls=self._shown_as)

    def step_namespaces(self, run_id: str) -> Sequence[str]:
        """See ``LaunchingInstance``."""
        run = self._instance.runs.get(run_id)
        if run.plan_id is None:
            return ()
        config = self._instance.journal.get_plan(run.plan_id).executor.get("config") or {}
        namespace = config.get("job_namespace")
        return (namespace,) if isinstance(namespace, str) else ()

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, RunStatus]:
        """See ``LaunchingInstance``."""
        page = self._instance.runs.page(RunFilter(run_ids=tuple(run_ids)), limit=max(len(run_ids), 1))
        return {run.run_id: run.status for run in page.runs}

    def clean_up(self, client: KubeClient) -> CleanedUp:
        """See ``LaunchingInstance``. What the database does not know is left to people (``runplane k8s gc --unknown``)."""
        comparison = KubernetesLeftovers(self._instance, client)
        deleted, problems = 0, []
        for one in comparison.compare().leftovers:
            if one.why is Why.UNKNOWN:
                continue
            try:
                deleted += comparison.delete(one)
            except KubeRefusedError as error:
                problems.append(f"{one.resource[:-1]} {one.namespace}/{one.name} could not be deleted: {error}")
        return CleanedUp(deleted, tuple(problems))

    def outputs_lost(self, run: Run, manifest: Mapping[str, Any]) -> Sequence[str]:
        """See ``LaunchingInstance``. Where steps are Jobs of their own, their executor says it."""
        plan = self._instance.journal.get_plan(run.plan_id) if run.plan_id is not None else None
        if plan is None or plan.executor.get("name") == "k8s":
            return ()
        return unshared(manifest, plan.local_files, str(self._instance.home / "storage"))

    def keep_document(self, run_id: str, document: str) -> None:
        """See ``LaunchingInstance``."""
        self._instance.runs.put_instance(run_id, document)

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See ``LaunchingInstance``."""
        self._instance.runs.put_tags(run_id, tags)


def access_of(config: Mapping[str, Any], env: Mapping[str, str]) -> ClusterAccess:
    """The way into the cluster that a launcher's config names. The file of the machine that launches is not looked for in pods: they have a
    service account.

    Raises:
        NotFoundError: there is none.
    """
    in_cluster, file = config.get("load_incluster_config"), config.get("kubeconfig_file")
    if file is not None and IN_A_POD_ENV in env and not Path(file).expanduser().is_file():
        in_cluster, file = None, None
    return cluster_access(load_incluster_config=in_cluster, kubeconfig_file=file)


def _trusting(access: ClusterAccess, authority: str | None) -> ClusterAccess:
    """The same, with another certificate authority of the API if there is one."""
    if authority is None:
        return access

    def load() -> Endpoint:
        endpoint = access.load()
        endpoint.ssl_ca_cert = authority
        return endpoint

    return replace(access, load=load)
