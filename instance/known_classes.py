"""Which of Dagster's classes stands for which part of ours: ``dagster_classes.json``, read once.

A class is `now` (built by us), `later` (loads and validates; building it is refused by name) or `no effect`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from ..config.pointer import ClassPointer, load_class, public_module
from ..config.schema import Schema
from ..errors import UnsupportedError, nearest
from ..serdes.record import record
from .class_schemas import SCHEMAS

DATA = Path(__file__).with_name("dagster_classes.json")
_PACKAGES = frozenset(
    {"dagster", "dagster_k8s", "dagster_celery", "dagster_celery_k8s", "dagster_postgres", "dagster_mysql"}
    | {"dagster_aws", "dagster_obstore"}
)
"""A class of one of these that is not in the list is a mistake, not a third party's."""
LAUNCHER, LAUNCHER_WITH_QUEUES = "K8sRunLauncher", "CeleryK8sRunLauncher"
MAKES_JOBS = (LAUNCHER, LAUNCHER_WITH_QUEUES)
"""The launchers whose runs are pods."""
_KUBERNETES_SCHEMAS = ClassPointer(f"{__package__}.kubernetes_schemas", "KubernetesSchemas")


@record
class KnownClass:
    """One class of Dagster.

    Attributes:
        class_name: its name.
        part: the key of dagster.yaml under which it may stand.
        schema_name: which schema its `config` has.
        status: "now", "later" or "no effect".
        ours: what builds it here, as `module:name`; None unless `status` is "now".
        instead: for "later": what to use until then.
    """

    class_name: str
    part: str
    schema_name: str
    status: str
    ours: str | None
    instead: str | None

    @property
    def schema(self) -> Schema:
        """The shape of its `config`."""
        if self.schema_name in SCHEMAS:
            return SCHEMAS[self.schema_name]
        # Only an instance whose launcher makes Jobs reads what Kubernetes' fields are called.
        found: Schema = load_class(_KUBERNETES_SCHEMAS, where=self.class_name).BY_NAME[self.schema_name]
        return found

    def target(self, *, where: str) -> ClassPointer:
        """Our class. Raises UnsupportedError, by name, for one that is not built yet."""
        if self.ours is None:
            raise UnsupportedError(
                f"{self.class_name} is known and its configuration is right, but this version can not build it",
                where=where,
                hint=self.instead,
            )
        module, _, name = self.ours.partition(":")
        return ClassPointer(module, name)


@functools.cache
def known_classes() -> dict[tuple[str, str], KnownClass]:
    """All, by public module name and class name."""
    found: dict[tuple[str, str], KnownClass] = {}
    for row in json.loads(DATA.read_text(encoding="utf-8"))["classes"]:
        known = KnownClass(row["class"], row["part"], row["schema"], row["status"], row.get("ours"), row.get("instead"))
        for module in row["modules"]:
            found[module, row["class"]] = known
    return found


def find_known(module: str, class_name: str) -> KnownClass | None:
    """The class, whichever of Dagster's names of its module is given; None if it is not one of Dagster's."""
    return known_classes().get((public_module(module), class_name))


def is_dagsters(module: str) -> bool:
    """Whether the module belongs to one of Dagster's packages."""
    return module.partition(".")[0] in _PACKAGES


def nearest_known(module: str, class_name: str, part: str) -> str | None:
    """The pointer that was probably meant, as `module:class`: the right class wins over the right module."""
    candidates = {f"{m}:{c}": (m, c) for (m, c), known in known_classes().items() if known.part == part}
    by_class = nearest(class_name, {c for _, c in candidates.values()})
    names = [n for n, (_, c) in candidates.items() if by_class is None or c == by_class]
    return nearest(f"{public_module(module)}:{class_name}", names) or (names[0] if by_class else None)
