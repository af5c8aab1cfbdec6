"""From a class name to a class."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from runplane.config.pointer import ClassPointer, load_class, private_module, public_module
from runplane.errors import NotFoundError


def test_a_class_is_loaded() -> None:
    assert load_class(ClassPointer("collections", "OrderedDict"), where="f") is collections.OrderedDict


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("collections", "OrderdDict", "no class 'OrderdDict'. Did you mean 'OrderedDict'"),
        ("colections", "OrderedDict", "no module 'colections', where the class 'OrderedDict'"),
        ("colections", "OrderedDict", "mean 'collections'"),
        ("xml.domm", "X", "mean 'xml.dom'"),
        ("collections", "namedtuple", "is not a class"),
    ],
)
def test_what_can_not_be_loaded_names_module_class_and_nearest(module: str, name: str, text: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_class(ClassPointer(module, name), where="dagster.yaml: run_launcher")

    assert text in str(caught.value)
    assert str(caught.value).startswith("dagster.yaml: run_launcher: ")


def test_a_module_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_plugin_a.py").write_text("raise ValueError('no luck')")
    (tmp_path / "broken_plugin_b.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(
        NotFoundError, match="'broken_plugin_a' of the class 'X' fails when it is imported: ValueError: no luck"
    ):
        load_class(ClassPointer("broken_plugin_a", "X"), where="f")
    with pytest.raises(NotFoundError, match="needs the module 'not_installed_anywhere'"):
        load_class(ClassPointer("broken_plugin_b", "X"), where="f")


@pytest.mark.parametrize(
    ("public", "private"),
    [
        ("dagster.core.storage", "dagster._core.storage"),
        ("dagster", "dagster"),
        ("dagster_k8s.launcher", "dagster_k8s.launcher"),
        ("mine.core", "mine.core"),
    ],
)
def test_dagsters_two_names_of_a_module(public: str, private: str) -> None:
    assert private_module(public) == private
    assert private_module(private) == private
    assert public_module(private) == public
    assert public_module(public) == public
