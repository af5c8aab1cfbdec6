"""What the audit of installed packages finds, as assets: each kept under its name, with checks.

Make all of them, or a part; what is upstream and not asked for is taken as it was made last::

    runplane asset materialize -f examples/package_assets/definitions.py --select '*'
    runplane asset materialize -f examples/package_assets/definitions.py --select packages/largest
"""

from importlib import metadata
from pathlib import Path

from runplane import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetIn,
    AssetSelection,
    Config,
    Definitions,
    asset,
    asset_check,
    define_asset_job,
)


class Top(Config):
    """What `largest` keeps."""

    count: int = 10
    """So many packages."""


@asset(
    key_prefix="packages", group_name="packages", kinds={"python"}, description="Name -> version of what is installed"
)
def installed(context: AssetExecutionContext) -> dict[str, str]:
    found = {d.name: d.version for d in metadata.distributions() if d.name}
    context.add_output_metadata({"packages": len(found)})
    return found


@asset(
    key_prefix="packages",
    group_name="packages",
    ins={"installed": AssetIn(key_prefix="packages")},
    description="Name -> bytes of its files",
)
def sizes(context: AssetExecutionContext, installed: dict[str, str]) -> dict[str, int]:
    found = {name: sum(_bytes(file.locate()) for file in metadata.files(name) or ()) for name in installed}
    context.add_output_metadata({"bytes": sum(found.values())})
    return found


@asset(
    key_prefix="packages",
    group_name="packages",
    ins={"sizes": AssetIn(key_prefix="packages")},
    description="The largest packages, the largest first",
)
def largest(context: AssetExecutionContext, sizes: dict[str, int], config: Top) -> list[str]:
    found = sorted(sizes, key=lambda name: (-sizes[name], name))[: config.count]
    context.log.info(f"largest: {', '.join(found[:3])}")
    return found


@asset_check(
    asset=["packages", "installed"], blocking=True, description="Runplane is among them, so it is the right place"
)
def has_runplane(installed: dict[str, str]) -> AssetCheckResult:
    return AssetCheckResult(passed="runplane" in installed, metadata={"packages": len(installed)})


@asset_check(asset=["packages", "sizes"], description="Every package has files")
def none_is_empty(sizes: dict[str, int]) -> AssetCheckResult:
    empty = sorted(name for name, size in sizes.items() if size == 0)
    return AssetCheckResult(passed=not empty, severity=AssetCheckSeverity.WARN, metadata={"empty": empty})


def _bytes(path: object) -> int:
    file = Path(str(path))
    return file.stat().st_size if file.is_file() else 0


package_assets = define_asset_job("package_assets", AssetSelection.groups("packages"))

defs = Definitions(
    assets=[installed, sizes, largest], asset_checks=[has_runplane, none_is_empty], jobs=[package_assets]
)
