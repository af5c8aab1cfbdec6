"""The page of keys names every key."""

from __future__ import annotations

from pathlib import Path

from runplane.kube.shapes import (
    CELERY_EXECUTOR,
    EXECUTOR,
    EXECUTOR_OWN,
    JOB_FIELDS,
    LAUNCHER,
    LAUNCHER_OWN,
    LAYER,
    LOCATION,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "kubernetes.md"


def test_every_key_has_its_place_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")

    for keys in (
        JOB_FIELDS,
        *(shape.fields for shape in (LAUNCHER, LAUNCHER_OWN, LAYER, LOCATION, EXECUTOR, EXECUTOR_OWN, CELERY_EXECUTOR)),
    ):
        assert [key for key in keys if f"`{key}`" not in text] == []
