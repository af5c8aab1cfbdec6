"""What can be said of an instance whose runs are Jobs: the cluster, roles, what pods see of the database, quotas that let runs starve steps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..config.schema import env_name
from ..errors import ConfigErrors
from ..kube.client import KubeClient
from ..kube.errors import KubeForbiddenError, KubeNotFoundError
from ..kube.job_facts import RunFacts, Surroundings
from ..kube.job_manifest import run_job
from ..kube.roles import CREATE_JOBS, DAEMON, LAUNCHER, OWNER, RUN_WORKER, TO_EXPLAIN, Permission
from ..kube.supported import refuse_older
from ..launchers.k8s import K8sRunLauncher
from .examination import Finding, Grade
from .instance import Instance
from .storage_location import storage_parts

_NOBODY = "00000000-0000-4000-8000-000000000000"
_PODS = ("pods", "count/pods", "count/jobs.batch")


class KubernetesExamination:
    """The checks. Made for an instance whose launcher makes Jobs.

    Args:
        instance: the instance.
    """

    def __init__(self, instance: Instance) -> None:
        launcher = instance.launcher
        assert isinstance(launcher, K8sRunLauncher)
        self._instance = instance
        self._launcher = launcher
        self._namespace = launcher.settings.context.namespace or "default"

    @property
    def _client(self) -> KubeClient:
        return self._launcher.client

    # The cluster --------------------------------------------------------------------------------------------------------------------

    def cluster(self, _: Instance) -> Iterator[Finding]:
        """Whether it is there, and new enough."""
        refuse_older(self._client)
        major, minor = self._client.server_version()
        yield Finding(
            "cluster", Grade.OK, f"Kubernetes {major}.{minor} by {self._client.source}, namespace {self._namespace}"
        )

    def roles(self, _: Instance) -> Iterator[Finding]:
        """Each verb that the docs list: of this process as launcher and as daemon, of the account that run workers have."""
        yield self._own("role of the launcher", LAUNCHER, Grade.FAILURE)
        yield self._own("role of daemons", DAEMON, Grade.WARNING)
        account = self._account()
        lacking = self._lacking(RUN_WORKER, account)
        words = f"service account {account} of run workers"
        name = "role of run workers"
        if lacking is None:
            yield Finding(
                name,
                Grade.UNKNOWN,
                f"{words}: this role may not ask about others (create localsubjectaccessreviews)",
                f"kubectl auth can-i create jobs -n {self._namespace} --as system:serviceaccount:{self._namespace}:{account}",
            )
        elif lacking:
            yield Finding(
                name,
                Grade.WARNING,
                f"{words} lacks {_named(lacking)}: k8s_job_executor needs that",
                "examples/kubernetes/roles.yaml has the role.",
            )
        else:
            yield Finding(name, Grade.OK, f"{words} may do all that k8s_job_executor needs")
        if lacking is not None:
            yield self._owner(account)

    def _owner(self, account: str) -> Finding:
        lacking = self._lacking(OWNER, account)
        if lacking:
            words = (
                f"service account {account} lacks {_named(lacking)}: enable_owner_references has no effect, and says so"
            )
            return Finding("owner references", Grade.WARNING, words)
        return Finding("owner references", Grade.OK, "enable_owner_references can be used")

    def _own(self, name: str, wanted: Sequence[Permission], grade: Grade) -> Finding:
        lacking = self._lacking(wanted, None) or []
        needed = [one for one in lacking if one not in TO_EXPLAIN]
        if needed:
            return Finding(
                name,
                grade,
                f"this process may not {_named(lacking)} in {self._namespace}",
                "See examples/kubernetes/roles.yaml.",
            )
        if lacking:
            words = f"this process may not {_named(lacking)}: failures are told with less"
            return Finding(name, Grade.WARNING, words)
        return Finding(name, Grade.OK, f"all of: {_named(wanted)}")

    def _lacking(self, wanted: Sequence[Permission], account: str | None) -> list[Permission] | None:
        """Of these, what may not be done; None: that may not be asked."""
        user = None if account is None else f"system:serviceaccount:{self._namespace}:{account}"
        try:
            return [one for one in wanted if not self._may(one, user)]
        except (KubeForbiddenError, KubeNotFoundError):
            return None

    def _may(self, one: Permission, user: str | None) -> bool:
        return self._client.can_i(
            one.verb, one.resource, self._namespace, group=one.group, subresource=one.subresource, user=user
        )

    # What pods have -------------------------------------------------------------------------------------------------------------------

    def _pod(self) -> Mapping[str, Any]:
        """The pod's spec of a run, as it would be made."""
        settings = replace(self._launcher.settings, image=self._launcher.settings.image or "image")
        made = run_job(settings, RunFacts(_NOBODY, "doctor"), "{}", Surroundings(self._instance.env))
        spec: Mapping[str, Any] = made.manifest["spec"]["template"]["spec"]
        return spec

    def _account(self) -> str:
        return str(self._pod().get("serviceAccountName") or "default")

    def database(self, instance: Instance) -> Iterator[Finding]:
        """Whether pods can reach it as this process does, and have what its configuration takes from the environment."""
        name = "database of pods"
        try:
            instance.refuse_database_for_pods()
        except ConfigErrors as error:
            yield Finding(name, Grade.FAILURE, str(error))
            return
        container = self._pod()["containers"][0]
        given = {entry["name"] for entry in container.get("env") or ()}
        sources = [ref for source in container.get("envFrom") or () for ref in source.values()]
        wanted = sorted(
            {found for part in storage_parts(instance.config.parts).values() for found in env_names(part.config)}
        )
        missing = [one for one in wanted if one not in given]
        if missing and not sources:
            yield Finding(
                name,
                Grade.FAILURE,
                f"pods have no {', '.join(missing)}, which the storage's configuration takes from the environment",
                "Name the secret: postgres_password_secret (DAGSTER_PG_PASSWORD), env_secrets or env_vars of the launcher.",
            )
        elif missing:
            names = ", ".join(str(ref.get("name")) for ref in sources)
            yield Finding(
                name, Grade.UNKNOWN, f"{', '.join(missing)} has to come from {names}, which can not be read from here"
            )
        else:
            yield Finding(
                name,
                Grade.OK,
                f"pods have {', '.join(wanted)}" if wanted else "it takes nothing from pods' environment",
            )

    def user_code(self, _: Instance) -> Iterator[Finding]:
        """Whether what users write could make Jobs of its own: it runs with the account of its pod."""
        pod, account = self._pod(), self._account()
        if pod.get("automountServiceAccountToken") is False:
            yield Finding("user code", Grade.OK, "pods of runs have no token")
            return
        lacking = self._lacking([CREATE_JOBS], account)
        if lacking:
            yield Finding("user code", Grade.OK, f"service account {account} may not create Jobs")
            return
        may = "may" if lacking is not None else "can not be asked whether it may"
        yield Finding(
            "user code",
            Grade.WARNING,
            f"user code runs with the service account {account}, which {may} create Jobs: with multiprocess_executor in the run's pod, with "
            "k8s_job_executor in each step's unless it has an account of its own",
            "k8s_job_executor: runplane.step_service_account. multiprocess_executor: an account without a role.",
        )

    # Quotas ---------------------------------------------------------------------------------------------------------------------------

    def quotas(self, instance: Instance) -> Iterator[Finding]:
        """Whether run workers could fill a quota of pods, so that none of them gets a step started."""
        name = "quotas"
        try:
            found = self._client.list_objects("resourcequotas", self._namespace, "").items
        except KubeForbiddenError:
            words = f"this role may not list resourcequotas in {self._namespace}"
            yield Finding(name, Grade.UNKNOWN, words, "A quota of pods has to be above the number of runs at a time.")
            return
        rooms = [(room, quota["metadata"]["name"], key) for quota in found for key, room in _rooms(quota)]
        if not rooms:
            yield Finding(name, Grade.OK, f"no quota of pods or Jobs in {self._namespace}")
            return
        room, quota_name, key = min(rooms)
        runs = instance.queue_limits.max_concurrent_runs if instance.has_queue else -1
        what = f"quota {quota_name} leaves room for {room} ({key})"
        if runs < 0:
            yield Finding(
                name, Grade.WARNING, f"{what}, and nothing limits how many runs are started: their workers can fill it, and then no step starts",
                "Use the queue with max_concurrent_runs below the quota.",
            )  # fmt: skip
        elif runs >= room:
            yield Finding(
                name, Grade.FAILURE, f"{what}, and {runs} runs may be started at a time: their workers can fill it, and then no step starts",
                "Raise the quota, or lower max_concurrent_runs.",
            )  # fmt: skip
        else:
            yield Finding(name, Grade.OK, f"{what}; {runs} runs at a time leave {room - runs} for steps")


def env_names(value: Any) -> Iterator[str]:
    """The variables that a configuration takes from the environment."""
    name = env_name(value)
    if name is not None:
        yield name
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from env_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from env_names(inner)


def _rooms(quota: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Of a quota the number of pods or Jobs that it allows."""
    for key, value in (quota.get("spec", {}).get("hard") or {}).items():
        if key in _PODS and re.fullmatch(r"\d+", str(value)):
            yield key, int(value)


def _named(permissions: Sequence[Permission]) -> str:
    return ", ".join(map(str, permissions))


def checks_of(instance: Instance) -> Mapping[str, Any]:
    """The checks by name, for an instance whose launcher makes Jobs."""
    made = KubernetesExamination(instance)
    return {
        "cluster": made.cluster,
        "role": made.roles,
        "database of pods": made.database,
        "user code": made.user_code,
        "quotas": made.quotas,
    }
