"""Selection queries as trees, and what only our reader says; what each means beside a Dagster is in the scenarios."""

from __future__ import annotations

import pytest

from runplane import AssetSelection, DagsterInvalidSubsetError, asset
from runplane.definitions.assets.query import Attribute, Everything, Function, Join, Not, Reach, parse

A, B = Attribute("key", "a"), Attribute("key", "b")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a/b", Attribute("key", "a/b")),
        ("++a+", Reach(A, 2, 1)),
        ("*a*", Reach(A, None, None)),
        ('+key:"a"+2', Reach(A, None, 2)),
        ("key:a or key:b and not key:a", Join("or", A, Join("and", B, Not(A)))),
        ("(key:a or key:b) and key:a", Join("and", Join("or", A, B), A)),
        ("roots(key:a+)", Function("roots", Reach(A, 0, None))),
        ("*", Everything()),
        ("tag:k=v", Attribute("tag", "k", "v")),
        ('tag:"k=v"', Attribute("tag", "k=v")),
        ("owner:<null>", Attribute("owner", None)),
        (r'key:"a\"b"', Attribute("key", 'a"b')),
    ],
)
def test_trees(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text", ["", "key:", "key:a key:b", "nonsense:a", "(key:a", "key:a)", "key:a and", 'key:"a', "a b"]
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(DagsterInvalidSubsetError, match="no asset selection query"):
        parse(text)


def test_the_nearest_key_is_named() -> None:
    @asset
    def orders() -> int:
        return 1

    with pytest.raises(DagsterInvalidSubsetError, match="Did you mean 'orders'"):
        AssetSelection.from_string("order").resolve([orders])
