"""What definitions of assets say of themselves, and what of them is refused."""

import dagster as dg


@dg.asset(
    key_prefix=["a", "b"],
    name="c",
    description="it",
    metadata={"m": 1},
    tags={"t": "x"},
    owners=["team:data", "me@here.org"],
    kinds={"python", "table"},
    code_version="3",
    group_name="g",
    deps=["up", dg.AssetSpec("spec"), dg.AssetDep(dg.AssetKey(["x", "y"]))],
)
def whole(one):
    """A docstring."""


@dg.asset
def small():
    """Says what it is."""


def described(spec):
    return {
        "key": spec.key.to_user_string(),
        "deps": sorted(d.asset_key.to_user_string() for d in spec.deps),
        "description": spec.description,
        "group": spec.group_name,
        "owners": list(spec.owners),
        "tags": dict(spec.tags),
        "kinds": sorted(spec.kinds),
        "version": spec.code_version,
        "skippable": spec.skippable,
        "metadata": sorted(spec.metadata),
    }


def scenario():
    spec = dg.AssetSpec(["s", "t"], deps=["u"], kinds={"k"}, group_name="g2")
    both = dg.AssetsDefinition.from_op(
        _op(), keys_by_output_name={"x": dg.AssetKey("ex"), "y": dg.AssetKey("why")}, group_name="h"
    )
    graph = dg.AssetsDefinition.from_graph(_graph(), key_prefix="pre")
    return {
        "whole": described(next(iter(whole.specs))),
        "op": whole.op.name,
        "inputs": {k: v.to_user_string() for k, v in whole.keys_by_input_name.items() if k == "one"},
        "small": small.descriptions_by_key[dg.AssetKey("small")],
        "small group": small.group_names_by_key[small.key],
        "spec": described(spec),
        "replaced": described(spec.replace_attributes(key="new", group_name="g3")),
        "merged": described(spec.merge_attributes(tags={"more": "x"}, owners=["team:t"])),
        "attributes": sorted(
            k.to_user_string() for k in whole.with_attributes(asset_key_replacements={whole.key: dg.AssetKey("z")}).keys
        ),
        "from op": sorted(k.to_user_string() for k in both.keys),
        "from graph": sorted(k.to_user_string() for k in graph.keys),
        "source": whole.to_source_asset().key.to_user_string(),
        "key forms": [
            dg.AssetKey(["a", "b"]).to_user_string(),
            dg.AssetKey("a/b").path == ["a/b"] or dg.AssetKey("a/b").path == ("a/b",),
            dg.AssetKey.from_user_string("a/b").to_string(),
            dg.AssetKey(["a-b", "c.d"]).to_python_identifier(),
            dg.AssetKey(["a", "b"]).with_prefix("p").to_user_string(),
            dg.AssetKey(["a", "b"]).has_prefix(["a"]),
        ],
        "twice": lambda: dg.Definitions(assets=[small, dg.asset(name="small")(lambda: 1)]).resolve_all_asset_keys(),
        "circle": lambda: dg.materialize(
            [dg.asset(name="p1", deps=["p2"])(_none), dg.asset(name="p2", deps=["p1"])(_none)]
        ),
        "bad owner": lambda: dg.AssetSpec("a", owners=["nobody"]),
        "bad group": lambda: dg.AssetSpec("a", group_name="no spaces"),
        "key and name": lambda: dg.asset(key="a", name="b")(_none),
        "dep and parameter": lambda: dg.asset(deps=["x"])(_takes),
        "check of another": lambda: dg.asset(name="n", check_specs=[dg.AssetCheckSpec("c", asset="m")])(_none),
        "two kinds of outs": lambda: dg.multi_asset(outs={"a": dg.AssetOut()}, specs=[dg.AssetSpec("a")])(_none),
    }


def _none():
    return None


def _takes(x):
    return x


def _op():
    @dg.op(out={"x": dg.Out(), "y": dg.Out()})
    def two_outs(z):
        return 1, 2

    return two_outs


def _graph():
    @dg.op
    def inner():
        return 1

    @dg.graph
    def outer():
        return inner()

    return outer
