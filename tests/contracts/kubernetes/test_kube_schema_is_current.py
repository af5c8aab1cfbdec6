"""What is committed of Kubernetes' field names is what the installed client says."""

from __future__ import annotations

from runplane.kube.schema import generate


def test_the_models_are_those_of_the_installed_client() -> None:
    assert generate.DATA.read_text() == generate.text(), "run: python -m runplane.kube.schema.generate"
