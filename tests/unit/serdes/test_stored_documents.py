"""Our own documents: kind and version, one upgrade step each, newer minors kept, newer majors refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runplane.errors import DocumentError
from runplane.errors.exit_codes import ExitCode
from runplane.serdes.documents import Body, DocumentKind, Documents, NewerDocumentError


def one_to_two(body: Body) -> Body:
    return {**body, "names": [body["name"]]}


def two_to_three(body: Body) -> Body:
    return {key: item for key, item in body.items() if key != "name"} | {"names": [n.upper() for n in body["names"]]}


def make(version: tuple[int, int] = (3, 1)) -> tuple[Documents, DocumentKind[list[str]]]:
    documents = Documents()
    kind = DocumentKind(
        "crew",
        version,
        encode=lambda names: {"names": names},
        decode=lambda body: list(body["names"]),
        fields=frozenset({"names"}),
        upgrades={1: one_to_two, 2: two_to_three} if version[0] == 3 else {},
    )
    return documents, documents.add(kind)


def text(version: str, body: Any, kind: str = "crew") -> str:
    return json.dumps({"kind": kind, "version": version, "body": body})


def test_written_and_read() -> None:
    documents, crew = make()
    written = documents.write(crew, ["a", "b"])
    assert json.loads(written) == {"kind": "crew", "version": "3.1", "body": {"names": ["a", "b"]}}
    found = documents.read(written, crew)
    assert (found.value, found.version, found.extra) == (["a", "b"], (3, 1), {})


def test_an_old_document_is_upgraded_one_step_at_a_time() -> None:
    documents, crew = make()
    assert documents.read(text("1.7", {"name": "ada"}), crew).value == ["ADA"]
    assert documents.read(text("2.0", {"names": ["ada"]}), crew).value == ["ADA"]
    assert documents.read(text("3.0", {"names": ["ada"]}), crew).value == ["ada"]


def test_what_a_newer_minor_added_is_kept() -> None:
    documents, crew = make()
    found = documents.read(text("3.9", {"names": ["a"], "ship": {"x": 1}}), crew)
    assert found.value == ["a"]
    assert json.loads(documents.rewrite(found)) == {
        "kind": "crew",
        "version": "3.9",
        "body": {"names": ["a"], "ship": {"x": 1}},
    }


def test_an_old_document_is_rewritten_in_the_current_version() -> None:
    documents, crew = make()
    assert json.loads(documents.rewrite(documents.read(text("1.0", {"name": "a"}), crew)))["version"] == "3.1"


def test_a_newer_major_is_an_error_by_name() -> None:
    documents, crew = make()
    with pytest.raises(
        NewerDocumentError, match=r"this crew was written by a newer runplane .got version 4.0, expected at most 3.x"
    ) as got:
        documents.read(text("4.0", {}), crew)
    assert got.value.exit_code == ExitCode.VERSION_SKEW


def test_a_major_without_a_step_is_refused() -> None:
    documents, crew = make()
    with pytest.raises(DocumentError, match=r"version 0.9 can not be read .got no upgrade step is left"):
        documents.read(text("0.9", {}), crew)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("[]", "not a document"),
        ('{"__class__": "X"}', "It is in Dagster's form"),
        (text("3.0", []), "not a document"),
        (text("3", {}), "not a version"),
        (text("3.x", {}), "not a version"),
        (text("-3.0", {}), "not a version"),
        (text("9" * 30 + ".0", {}), "not a version"),
        (text("3.0", {}, kind="crow"), "unknown kind of document 'crow'. Did you mean 'crew'"),
        (text("3.0", {"names": 7}), "crew of version 3.0 can not be read"),
        (text("3.0", {}), "crew of version 3.0 can not be read"),
        (text("1.0", {}), "crew of version 1.0 can not be read"),
    ],
)
def test_what_is_not_a_stored_document(document: str, says: str) -> None:
    documents, _ = make()
    with pytest.raises(DocumentError, match=says):
        documents.read_any(document)


def test_another_kind() -> None:
    documents, crew = make()
    ship = documents.add(DocumentKind("ship", (1, 0), dict, dict, frozenset()))
    with pytest.raises(DocumentError, match=r"another kind of document .got ship, expected crew"):
        documents.read(documents.write(ship, {}), crew)


def test_a_kind_is_registered_once_and_its_steps_have_no_gap() -> None:
    documents, crew = make()
    with pytest.raises(ValueError, match="twice"):
        documents.add(crew)
    with pytest.raises(ValueError, match="one by one"):
        documents.add(DocumentKind("x", (3, 0), dict, dict, frozenset(), upgrades={1: one_to_two}))


def test_a_body_that_is_not_json() -> None:
    documents = Documents()
    kind: DocumentKind[Any] = documents.add(
        DocumentKind("any", (1, 0), lambda v: {"v": v}, lambda b: b["v"], frozenset({"v"}))
    )
    with pytest.raises(DocumentError, match="can not be written"):
        documents.write(kind, object())
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(DocumentError, match="too deeply"):
        documents.write(kind, deep)


@given(
    st.text()
    | st.binary()
    | st.builds(text, st.text(), st.dictionaries(st.text(), st.integers()), st.sampled_from(["crew", ""]))
)
def test_any_text_is_read_or_refused_with_one_type(document: "str | bytes") -> None:
    documents, _ = make()
    try:
        documents.read_any(document)
    except DocumentError:
        pass
