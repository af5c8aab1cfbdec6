"""AssetSelection: what each way to make one means."""

import dagster as dg


@dg.asset(group_name="raw", kinds={"csv"}, owners=["team:data", "a@b.org"], tags={"tier": "1"})
def a():
    return 1


@dg.asset(key_prefix=["deep", "er"], ins={"a": dg.AssetIn("a")}, group_name="raw", tags={"tier": "2"})
def b(a):
    return a


@dg.asset(ins={"b": dg.AssetIn(["deep", "er", "b"])}, kinds={"table", "csv"})
def c(b):
    return b


@dg.asset(deps=["outside"])
def d(c, a):
    return c


@dg.multi_asset(specs=[dg.AssetSpec("m1", deps=["d"]), dg.AssetSpec("m2")])
def m():
    pass


@dg.asset_check(asset=c)
def fine():
    return dg.AssetCheckResult(passed=True)


outside = dg.SourceAsset("outside", group_name="raw")


def scenario():
    s = dg.AssetSelection
    assets = [a, b, c, d, m, outside]
    made = {
        "all": s.all(),
        "all and sources": s.all(include_sources=True),
        "keys": s.keys("a", ["deep", "er", "b"], "deep/er/b"),
        "assets": s.assets(a, m),
        "groups": s.groups("raw"),
        "groups and sources": s.groups("raw", include_sources=True),
        "default group": s.groups("default"),
        "prefixes": s.key_prefixes("deep", ["deep", "er"]),
        "no prefix": s.key_prefixes("er"),
        "substring": s.key_substring("er/"),
        "tag": s.tag("tier", "1"),
        "tag string": s.tag_string("tier=2"),
        "kind": s.kind("csv"),
        "owner": s.owner("team:data"),
        "upstream": s.assets(d).upstream(),
        "upstream 1": s.assets(d).upstream(depth=1),
        "upstream without": s.assets(d).upstream(include_self=False),
        "downstream": s.assets(b).downstream(),
        "downstream 1": s.keys("deep/er/b").downstream(depth=1, include_self=False),
        "roots": s.all().roots(),
        "sinks": s.all().sinks(),
        "or": s.keys("a") | s.keys("d"),
        "and": s.groups("raw") & s.kind("csv"),
        "minus": s.all() - s.groups("raw"),
        "neighbors": s.keys("m1").required_multi_asset_neighbors(),
        "materializable": s.all(include_sources=True).materializable(),
        "sources before": s.assets(d).upstream_source_assets(),
        "checks only": s.checks_for_assets(c),
        "coerced": s.from_coercible([a, c]),
    }
    found = {name: sorted(k.to_user_string() for k in one.resolve(assets)) for name, one in made.items()}
    found["unknown"] = lambda: s.keys("nobody").resolve(assets)
    return found
