"""load_assets_from_*: modules, groups, prefixes, checks, source assets."""

import sys

import dagster as dg

FIRST = """
import {library} as dg

@dg.asset
def a():
    return 1

@dg.asset(deps=["outside"])
def b(a):
    return a

outside = dg.SourceAsset("outside")
listed = [dg.asset(name="c")(lambda: 3)]

@dg.asset_check(asset=a)
def fine(a):
    return dg.AssetCheckResult(passed=True)
"""


def scenario(folder):
    package = folder / "some_assets"
    package.mkdir()
    library = dg.__name__
    (package / "__init__.py").write_text(f"import {library} as dg\n@dg.asset\ndef top():\n    return 0\n")
    (package / "first.py").write_text(FIRST.format(library=library))
    sys.path.insert(0, str(folder))
    import some_assets
    import some_assets.first

    def keys(assets):
        found = []
        for one in assets:
            found += [k.to_user_string() for k in (one.keys if hasattr(one, "keys") else [one.key])]
        return sorted(found)

    grouped = dg.load_assets_from_modules([some_assets.first], group_name="g", key_prefix="p")
    checks = dg.load_asset_checks_from_package_module(some_assets)
    everything = dg.load_assets_from_package_name("some_assets")
    return {
        "module": keys(dg.load_assets_from_modules([some_assets.first])),
        "package": keys(everything),
        "prefixed": keys(grouped),
        "groups": sorted({g for one in grouped if hasattr(one, "keys") for g in one.group_names_by_key.values()}),
        "here": keys(dg.load_assets_from_current_module()),
        "checks": [c.check_key.to_user_string() for c in checks],
        "checks elsewhere": [
            c.check_key.to_user_string()
            for c in dg.load_asset_checks_from_modules([some_assets.first], asset_key_prefix="p")
        ],
        "run": dg.materialize([*grouped, *dg.load_asset_checks_from_modules([some_assets.first], "p")]),
        "deps": sorted(
            d.asset_key.to_user_string() for one in grouped if hasattr(one, "keys") for s in one.specs for d in s.deps
        ),
    }


@dg.asset
def here():
    return 1
