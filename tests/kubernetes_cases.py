"""Cases for the Jobs of a real Dagster and ours: what stands in each layer, and how the layers are put together."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

RUN_ID = "3c58b39d-8a58-44ef-bca2-0e4ca8100b7a"
Layer = Mapping[str, Any]

LAUNCHERS: dict[str, Layer] = {
    "bare": {},
    "description": {
        "resources": {
            "limits": {"cpu": "2000m", "memory": "4096Mi"},
            "requests": {"cpu": "2000m", "memory": "4096Mi"},
        },
        "run_k8s_config": {"pod_spec_config": {"nodeSelector": {"node-group.dp.ssup2": "worker"}}},
        "postgres_password_secret": "dagster-postgresql-secret",
        "job_namespace": "dagster",
        "image_pull_policy": "Always",
    },
    "full": {
        "job_image": "launcher:1",
        "image_pull_policy": "Never",
        "image_pull_secrets": [{"name": "reg"}],
        "env_config_maps": ["cm1", "cm2"],
        "env_secrets": ["s1"],
        "env_vars": ["A=launcher", "FROM_ENV", "EMPTY="],
        "volume_mounts": [{"name": "v", "mount_path": "/v", "read_only": True, "sub_path": "x"}],
        "volumes": [{"name": "v", "configMap": {"name": "cm", "defaultMode": 420}}],
        "labels": {"team": "data", "a.b/c_d": "1"},
        "resources": {"limits": {"cpu": 1, "nvidia.com/gpu": "1"}},
        "scheduler_name": "sched",
        "security_context": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
        "dagster_home": "/home",
        "postgres_password_secret": "pg",
        "fail_pod_on_run_failure": True,
        "run_k8s_config": {
            "container_config": {
                "env": [{"name": "A", "value": "raw"}],
                "working_dir": "/w",
                "command": ["tini", "--"],
            },
            "pod_spec_config": {
                "tolerations": [{"key": "k", "operator": "Exists"}],
                "node_selector": {"x_y": "z", "disk": "ssd"},
                "automountServiceAccountToken": False,
            },
            "pod_template_spec_metadata": {"annotations": {"a_b": "1", "sidecar.istio.io/inject": "false"}},
            "job_metadata": {"labels": {"job_label": "j"}, "annotations": {"n_m": "x"}},
            "job_spec_config": {"ttl_seconds_after_finished": 600, "podFailurePolicy": {"rules": []}},
        },
    },
}

LOCATIONS: dict[str, Any] = {
    "none": None,
    "empty": {},
    "shared": {"env_vars": ["SHARED=1", "FROM_ENV"]},
    "description": {
        "k8s": {
            "env": [{"name": "USER", "value": "ssup2"}],
            "env_config_maps": ["dagster-dagster-user-deployments-dagster-workflows-user-env"],
            "image_pull_policy": "Always",
            "namespace": "dagster",
            "resources": {
                "limits": {"cpu": "1000m", "memory": "2048Mi"},
                "requests": {"cpu": "1000m", "memory": "2048Mi"},
            },
            "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": True}},
            "service_account_name": "dagster-dagster-user-deployments-user-deployments",
        }
    },
    "full": {
        "env_vars": ["SHARED=1"],
        "docker": {"ignored": True},
        "k8s": {
            "namespace": "team-a",
            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "env_vars": ["A=location", "FROM_ENV"],
            "env_secrets": ["s1", "s2"],
            "image_pull_secrets": [{"name": "reg"}, {"name": "reg2"}],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],
            "labels": {"t": "x", "team": "location"},
            "resources": {"limits": {"memory": "1Gi"}},
            "scheduler_name": "own",
            "security_context": {"run_as_non_root": True},
            "run_k8s_config": {
                "pod_spec_config": {
                    "tolerations": [{"key": "k", "operator": "Exists"}, {"key": "other"}],
                    "containers": [{"name": "side", "image": "side:1", "args": ["--x"]}],
                    "securityContext": {"fsGroup": 2000},
                },
                "container_config": {"lifecycle": {"pre_stop": {"exec": {"command": ["sleep", "5"]}}}},
            },
            "server_k8s_config": {"container_config": {"tty": True}},
            "server_replica_count": 2,
        },
    },
    "shallow": {
        "env_vars": ["SHARED=1"],
        "k8s": {
            "env_vars": ["A=location"],
            "resources": {"limits": {"memory": "1Gi"}},
            "run_k8s_config": {
                "container_config": {"env": [{"name": "ONLY", "value": "1"}]},
                "pod_spec_config": {"node_selector": {"zone": "b"}},
                "merge_behavior": "SHALLOW",
            },
        },
    },
    "nulls": {
        "k8s": {
            "resources": None,
            "env_vars": None,
            "service_account_name": None,
            "run_k8s_config": {"pod_spec_config": {"serviceAccountName": None, "hostNetwork": True}},
        }
    },
}

TAGS: dict[str, dict[str, Any]] = {
    "none": {},
    "description": {
        "domain": "numbers",
        "dagster-k8s/config": {
            "container_config": {
                "resources": {
                    "requests": {"cpu": "2000m", "memory": "4096Mi"},
                    "limits": {"cpu": "2000m", "memory": "4096Mi"},
                }
            }
        },
    },
    "deep": {
        "dagster-k8s/config": {
            "container_config": {
                "image": "tag:1",
                "name": "main",
                "resources": {"limits": {"memory": 64}, "requests": {"cpu": 0.5}},
                "envFrom": [{"secretRef": {"name": "tagged"}}],
                "env": [{"name": "A", "value": "tag"}, {"name": "B", "value": "b"}],
                "volumeMounts": [{"name": "tmp", "mountPath": "/scratch"}],
            },
            "pod_spec_config": {
                "volumes": [{"name": "tmp2", "emptyDir": {}}],
                "nodeSelector": {"disk": "hdd"},
                "restart_policy": "OnFailure",
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                            ]
                        }
                    }
                },
                "topology_spread_constraints": [
                    {"max_skew": "1", "topology_key": "zone", "when_unsatisfiable": "DoNotSchedule"}
                ],
            },
            "pod_template_spec_metadata": {"labels": {"team": "tag", "n": 1}, "annotations": {"x_y": 1.5}},
            "job_metadata": {"labels": {"team": "jobtag"}, "finalizers": ["a/b"]},
            "job_spec_config": {"backoffLimit": 2, "active_deadline_seconds": "30"},
        }
    },
    "shallow": {
        "dagster-k8s/config": {
            "container_config": {
                "env": [{"name": "ONLY", "value": "tag"}],
                "resources": {"limits": {"cpu": "3"}},
                "command": ["other"],
            },
            "pod_spec_config": {"node_selector": {"only": "tag"}, "priority_class_name": "high"},
            "merge_behavior": "SHALLOW",
        }
    },
    "requirements": {
        "dagster-k8s/resource_requirements": json.dumps({"limits": {"cpu": "250m"}}),
        "dagster-k8s/config": {"container_config": {"resources": {"requests": {"memory": "1Gi"}}, "tty": True}},
    },
}

EXECUTORS: dict[str, Layer] = {
    "bare": {},
    "full": {
        "job_image": "executor:1",
        "job_namespace": "steps",
        "image_pull_policy": "IfNotPresent",
        "env_vars": ["E=1", "A=executor"],
        "labels": {"executor": "yes"},
        "resources": {"requests": {"cpu": "100m"}},
        "service_account_name": "step-sa",
        "step_k8s_config": {
            "pod_spec_config": {"tolerations": [{"key": "exec"}], "nodeSelector": {"disk": "nvme"}},
            "job_spec_config": {"ttlSecondsAfterFinished": 60},
        },
        "per_step_k8s_config": {
            "load": {
                "container_config": {"resources": {"limits": {"memory": "8Gi"}}},
                "pod_spec_config": {"hostIPC": True},
            },
            "other": {"container_config": {"tty": True}},
        },
    },
    "shallow": {
        "env_vars": ["E=1"],
        "step_k8s_config": {"container_config": {"env": [{"name": "X", "value": "1"}]}, "merge_behavior": "SHALLOW"},
        "per_step_k8s_config": {
            "load": {"container_config": {"env": [{"name": "P", "value": "2"}]}, "merge_behavior": "SHALLOW"}
        },
    },
}


CELERY_LAUNCHERS: dict[str, Layer] = {
    "bare": {},
    "full": {
        "broker": "redis://dagster-redis-master:6379/0",
        "backend": "redis://dagster-redis-master:6379/1",
        "image_pull_policy": "Never",
        "image_pull_secrets": [{"name": "reg"}],
        "env_config_maps": ["cm1", "cm2"],
        "env_secrets": ["s1"],
        "volume_mounts": [{"name": "v", "mount_path": "/v", "read_only": True}],
        "volumes": [{"name": "v", "configMap": {"name": "cm"}}],
        "labels": {"team": "data", "a.b/c_d": "1"},
        "service_account_name": "workers",
        "dagster_home": "/home",
        "fail_pod_on_run_failure": True,
        "job_namespace": "dagster",
    },
}
"""Keys that Dagster's launcher can be built with."""
CELERY_EXECUTORS: dict[str, Layer] = {
    "bare": {},
    "full": {
        "broker": "redis://elsewhere",
        "job_image": "executor:1",
        "job_namespace": "steps",
        "image_pull_policy": "IfNotPresent",
        "image_pull_secrets": [{"name": "reg"}, {"name": "own"}],
        "env_config_maps": ["cm2", "cm3"],
        "env_secrets": ["s1", "s2"],
        "volume_mounts": [{"name": "w", "mountPath": "/w"}],
        "volumes": [{"name": "w", "emptyDir": {}}],
        "labels": {"executor": "yes", "team": "executor"},
        "service_account_name": "step-sa",
        "per_step_k8s_config": {
            "load[3]": {
                "container_config": {"resources": {"limits": {"memory": "8Gi"}}, "env": [{"name": "P", "value": "2"}]},
                "pod_spec_config": {"hostIPC": True},
            },
            "load": {"container_config": {"tty": True}},
        },
    },
}


def cases() -> dict[str, dict[str, Any]]:
    """All cases, by a name that says what they are made of."""
    return {**dict(_runs()), **dict(_steps()), **dict(_odd_ones()), **dict(_with_queues())}


def _with_queues() -> Iterator[tuple[str, dict[str, Any]]]:
    combined = itertools.product(("celery_run", "celery_step"), CELERY_LAUNCHERS, CELERY_EXECUTORS, TAGS)
    for n, (kind, launcher, executor, tags) in enumerate(combined):
        case = _case(kind, "bare", ("none", "full", "shared")[n % 3])
        case["instance_yaml"] = _celery_instance(CELERY_LAUNCHERS[launcher])
        case["executor"] = {"name": "celery-k8s", "config": CELERY_EXECUTORS[executor]}
        if kind == "celery_run":
            case["run_tags"] = TAGS[tags]
        else:
            case.update(op_tags=TAGS[tags], step_key=("load", "load[3]")[n % 2], op_name="load", attempt=n % 3)
            case["run_tags"] = TAGS["deep"]
            if n % 4 == 0:
                case["process_env"] = {"DAGSTER_CURRENT_IMAGE": "current:1"}
        yield f"{kind}: {launcher} launcher, {executor} executor, {tags} tags", case


def _celery_instance(config: Layer) -> str:
    needed = {"instance_config_map": "dagster-instance", "postgres_password_secret": "pg"}
    launcher = {"module": "dagster_celery_k8s", "class": "CeleryK8sRunLauncher", "config": {**needed, **config}}
    return json.dumps({"run_launcher": launcher})


def _runs() -> Iterator[tuple[str, dict[str, Any]]]:
    for n, (launcher, location, tags) in enumerate(itertools.product(LAUNCHERS, LOCATIONS, TAGS)):
        if n % 2 == 0 and launcher != "full":
            continue
        case = _case("k8s_run", launcher, location)
        case["job_tags" if n % 5 else "run_tags"] = TAGS[tags]
        if n % 3 == 0:
            case.update(kind="k8s_run_resume", resume_attempt=n % 3 + 1)
        if n % 7 == 0:
            del case["location_name"]
        yield f"{case['kind']}: {launcher} launcher, {location} location, {tags} tags", case


def _steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for n, (launcher, location, tags, executor) in enumerate(itertools.product(LAUNCHERS, LOCATIONS, TAGS, EXECUTORS)):
        if n % 4:
            continue
        case = _case("k8s_step", launcher, location)
        case.update(
            op_name="load",
            op_tags=TAGS[tags],
            step_key=("load", "sub.load", "load[3]", "examples__generated_numbers")[n // 4 % 4],
            executor={"name": "k8s", "config": EXECUTORS[executor]},
            run_tags=TAGS["deep"],
            attempt=n // 4 % 3,
        )
        yield f"step: {launcher} launcher, {location} location, {tags} op tags, {executor} executor", case


def _odd_ones() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("a b/c", "x" * 80, "워크플로우", "-job_.v1-"):
        yield (
            f"job and location called {name!r}",
            {**_case("k8s_run", "bare", "none"), "job_name": name, "location_name": name},
        )
    deployment = _case("k8s_run", "bare", "none")
    deployment["container_context"] = {"env_vars": ["DAGSTER_CLOUD_DEPLOYMENT_NAME=prod/eu"]}
    yield "a deployment's name", deployment
    both = _case("k8s_run", "full", "full")
    both.update(job_tags=TAGS["description"], run_tags=TAGS["shallow"])
    yield "a tag at launch replaces the job's", both
    twice = _case("k8s_run", "bare", "none")
    entry = {"name": "A", "value": "1"}
    twice["run_tags"] = {"dagster-k8s/config": {"container_config": {"env": [entry, entry]}}}
    yield "duplicates in one list stay", twice
    owners = _case("k8s_run", "bare", "none")
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    owners["run_tags"] = {"dagster-k8s/config": {"job_metadata": {"owner_references": [owner]}}}
    yield "a user's owner references", owners
    empty = _case("k8s_run", "full", "none")
    empty["run_tags"] = {
        "dagster-k8s/config": {
            "container_config": {"security_context": {}, "resources": {}, "command": []},
            "pod_spec_config": {"scheduler_name": "", "volumes": [], "image_pull_secrets": []},
            "merge_behavior": "SHALLOW",
        }
    }
    yield "what is empty takes the place of what was set", empty
    only = _case("k8s_run", "bare", "shared")
    only["instance_yaml"] = _instance({"only_allow_user_defined_env_vars": ["FROM_ENV"]})
    yield "variables that are not allowed are left out", only


def _case(kind: str, launcher: str, location: str) -> dict[str, Any]:
    case: dict[str, Any] = {
        "kind": kind,
        "instance_yaml": _instance(LAUNCHERS[launcher]),
        "process_env": {"FROM_ENV": "value of the environment"},
        "location_name": "workflows",
        "container_image": "ghcr.io/team/workflows:0.4.8",
        "job_name": "process_numbers",
        "run_id": RUN_ID,
    }
    if LOCATIONS[location] is not None:
        case["container_context"] = LOCATIONS[location]
    return case


def _instance(config: Layer) -> str:
    # Dagster's launcher can not be built without these two.
    needed = {"instance_config_map": "dagster-instance", "service_account_name": "dagster"}
    return json.dumps(
        {"run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": {**needed, **config}}}
    )


def _tagged(**sections: Any) -> dict[str, Any]:
    return {**_case("k8s_run", "bare", "none"), "run_tags": {"dagster-k8s/config": sections}}


def _launched(**config: Any) -> dict[str, Any]:
    return {**_case("k8s_run", "bare", "full"), "instance_yaml": _instance(config)}


def _stepped(tags: Mapping[str, Any], **config: Any) -> dict[str, Any]:
    case = _case("k8s_step", "bare", "none")
    return {**case, "instance_yaml": _instance(config), "step_key": "load", "op_tags": tags}


_NO_IMAGE = {"container_image": None}
_ONLY_TTY = {"only_allow_user_defined_k8s_config_fields": {"container_config": {"tty": True}}}
REFUSED: dict[str, dict[str, Any]] = {
    "an unknown section": _tagged(container_confg={}),
    "an unknown field": _tagged(pod_spec_config={"nope": 1}),
    "both spellings": _tagged(container_config={"volumeMounts": [], "volume_mounts": []}),
    "an unknown merge behavior": _tagged(merge_behavior="deep"),
    "a variable that is not set": _launched(env_vars=["NOT_SET"]),
    "an unknown key of a location": {**_case("k8s_run", "bare", "none"), "container_context": {"k8s": {"nope": 1}}},
    "a field that is not allowed": _launched(**_ONLY_TTY),
    "no image": {**_case("k8s_run", "bare", "none"), **_NO_IMAGE},
    "no image of a step": {**_stepped({}), **_NO_IMAGE},
    "a null mapping in a list's place": _tagged(pod_spec_config={"tolerations": {"a": 1}}),
}
"""What both refuse."""
REFUSED["another executor's config under a CeleryK8sRunLauncher"] = {
    **_case("celery_run", "bare", "none"),
    "instance_yaml": _celery_instance({}),
    "executor": {"config": {"max_concurrent": 4}},
}
REFUSED["no image of a run with queues"] = {
    **_case("celery_run", "bare", "none"),
    "instance_yaml": _celery_instance({}),
    **_NO_IMAGE,
}
REFUSED_HERE: dict[str, dict[str, Any]] = {
    "text for true or false": _tagged(pod_spec_config={"hostNetwork": "false"}),
    "a Job's own sections under job_config": _tagged(job_config={"spec": {"backoffLimit": 3}}),
    "a template under job_spec_config": _tagged(job_spec_config={"template": {"metadata": {}}}),
    "arguments of a worker": _tagged(container_config={"args": ["x"]}),
    "another namespace in the metadata": _tagged(job_metadata={"namespace": "elsewhere"}),
    "two volumes of one name": _tagged(
        pod_spec_config={"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "configMap": {"name": "c"}}]}
    ),
    "a label's value that is too long": _tagged(job_metadata={"labels": {"a": "x" * 64}}),
    "a field that a step's op tag may not set": _stepped(
        {"dagster-k8s/config": {"container_config": {"stdin": True}}}, **_ONLY_TTY
    ),
}
"""What Dagster takes: docs/differences.md, "Jobs"."""
ALLOWED_HERE: dict[str, dict[str, Any]] = {
    "the image of a step by tag": {
        **_stepped({"dagster-k8s/config": {"container_config": {"image": "own:1"}}}),
        **_NO_IMAGE,
    },
    "a deployment's name from a secret": _tagged(
        container_config={
            "env": [
                {
                    "name": "DAGSTER_CLOUD_DEPLOYMENT_NAME",
                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
                }
            ]
        }
    ),
}
"""What Dagster refuses, or fails at."""
for _key, _value in {
    "job_image": "launcher:1",
    "env_vars": ["A=1"],
    "resources": {"limits": {"cpu": "1"}},
    "scheduler_name": "own",
    "security_context": {"runAsUser": 1},
    "run_k8s_config": {"pod_spec_config": {"hostNetwork": True}},
    "only_allow_user_defined_k8s_config_fields": {"namespace": True},
    "only_allow_user_defined_env_vars": ["A"],
}.items():
    ALLOWED_HERE[f"{_key} of a CeleryK8sRunLauncher"] = {
        **_case("celery_run", "bare", "none"),
        "instance_yaml": _celery_instance({_key: _value}),
    }
ALLOWED_HERE["merge_behavior of a step under celery-k8s"] = {
    **_case("celery_step", "bare", "none"),
    "instance_yaml": _celery_instance({}),
    "step_key": "load",
    "executor": {"config": {"per_step_k8s_config": {"load": {"merge_behavior": "SHALLOW"}}}},
}
