"""Which assets and checks a selection means: by name, group, kind, tag, owner; up and down; put together."""

from __future__ import annotations

import pytest

from runplane import (
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    AssetSelection,
    AssetSpec,
    DagsterInvalidSubsetError,
    asset,
    asset_check,
    multi_asset,
)

# source -> a -> b -> c, and b -> d; e and f are made together, g stands alone.
source = AssetSpec("source", group_name="raw")


@asset(deps=[source], group_name="raw", kinds={"python"}, tags={"area": "x"})
def a() -> None:
    """The first."""


@asset(deps=[a], kinds={"sql"}, tags={"area": "y"}, owners=["team:data"])
def b() -> None:
    """The second."""


@asset(deps=[b], key_prefix="out", kinds={"sql"})
def c() -> None:
    """One end."""


@asset(deps=[b])
def d() -> None:
    """The other end."""


@multi_asset(specs=[AssetSpec("e"), AssetSpec("f")])
def e_and_f() -> None:
    """Both."""


@asset_check(asset=b)
def fine() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


ALL = [source, a, b, c, d, e_and_f, fine]
S = AssetSelection


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (S.all(), "a b d e f out/c"),
        (S.all(include_sources=True), "a b d e f out/c source"),
        (S.keys("out/c", "a"), "a out/c"),
        (S.groups("raw"), "a"),
        (S.groups("raw", include_sources=True), "a source"),
        (S.groups("default"), "b d e f out/c"),
        (S.kind("sql"), "b out/c"),
        (S.kind(None), "d e f"),
        (S.tag("area", "x"), "a"),
        (S.tag("area", "z"), ""),
        (S.owner("team:data"), "b"),
        (S.key_prefixes("out"), "out/c"),
        (S.keys("out/c").upstream(), "a b out/c"),
        (S.keys("out/c").upstream(depth=1), "b out/c"),
        (S.keys("out/c").upstream(include_self=False), "a b"),
        (S.keys("a").downstream(), "a b d out/c"),
        (S.keys("a").downstream(depth=1), "a b"),
        (S.keys("a").downstream(depth=1, include_self=False), "b"),
        ((S.keys("a") | S.keys("b") | S.keys("d")).roots(), "a"),
        ((S.keys("a") | S.keys("b") | S.keys("d")).sinks(), "d"),
        (S.keys("a").upstream_source_assets(), "source"),
        (S.keys("e").required_multi_asset_neighbors(), "e f"),
        (S.kind("sql") & S.keys("b"), "b"),
        (S.kind("sql") - S.keys("b"), "out/c"),
        (S.from_string("+b+"), "a b d out/c"),
        (S.from_string("group:raw or kind:sql"), "a b out/c"),
        (S.from_string('kind:sql and not key:"b"'), "out/c"),
        (S.from_string("sinks(*)"), "d e f out/c"),
        (S.from_coercible(["a", AssetKey("d"), b]), "a b d"),
    ],
)
def test_a_selection_means_these_assets(selection: AssetSelection, meant: str) -> None:
    found = selection.resolve(ALL)

    assert " ".join(sorted(key.to_user_string() for key in found)) == meant


@pytest.mark.parametrize(
    ("selection", "checks"),
    [
        (S.keys("b"), {"fine"}),
        (S.keys("a"), set()),
        (S.keys("b").without_checks(), set()),
        (S.keys("b") - S.checks_for_assets(b), set()),
        (S.all_asset_checks(), {"fine"}),
        (S.checks(fine), {"fine"}),
        (S.checks(AssetCheckKey(AssetKey("b"), "fine")), {"fine"}),
    ],
)
def test_a_selection_means_the_checks_of_its_assets_unless_it_says_otherwise(
    selection: AssetSelection, checks: set[str]
) -> None:
    assert {key.name for key in selection.resolve_checks(ALL)} == checks


def test_checks_alone_mean_no_asset() -> None:
    assert S.checks(fine).resolve(ALL) == set()


def test_an_asset_or_a_check_that_is_not_there_is_named() -> None:
    with pytest.raises(DagsterInvalidSubsetError, match="nowhere"):
        S.keys("nowhere").resolve(ALL)
    with pytest.raises(DagsterInvalidSubsetError, match="b:other"):
        S.checks(AssetCheckKey(AssetKey("b"), "other")).resolve_checks(ALL)
