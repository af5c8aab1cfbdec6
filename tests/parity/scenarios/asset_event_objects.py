"""What an event of an asset gives back, of values that are kept in files: the object, kinds of its metadata, tags, versions."""

from dagster import (
    AssetMaterialization,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    ObserveResult,
    Output,
    asset,
    fs_io_manager,
    materialize,
    multi_asset,
)
from dagster import AssetSpec as Spec


@asset(metadata={"of": "definition"})
def valued():
    return Output(1, metadata={"n": 2, "md": MetadataValue.md("# x")}, data_version=DataVersion("v1"))


@asset
def bare():
    return 2


@multi_asset(specs=[Spec("one"), Spec("two")])
def several():
    yield MaterializeResult("one", {"rows": 3})
    yield MaterializeResult("two", tags={"a": "b"}, data_version=DataVersion("v2"))


def scenario(folder):
    run = materialize(
        [valued, bare, several],
        resources={"io_manager": fs_io_manager.configured({"base_dir": str(folder)})},
    )
    made = {e.asset_key.to_user_string(): e.materialization for e in run.get_asset_materialization_events()}
    kept = [e for e in run.all_events if e.event_type_value in ("HANDLED_OUTPUT", "LOADED_INPUT")]
    result = MaterializeResult("k", {"a": 1}, [], DataVersion("x"), {"t": "u"}, 4)
    return {
        "is one": all(isinstance(m, AssetMaterialization) for m in made.values()),
        "kinds": {key: {k: type(v).__name__ for k, v in m.metadata.items()} for key, m in made.items()},
        "own tags": {
            key: {k: v for k, v in m.tags.items() if k == "a" or v in ("v1", "v2")} for key, m in made.items()
        },
        "tags are a mapping": all(m.tags is not None for m in made.values()),
        "kept": [sorted(type(v).__name__ for v in e.event_specific_data.metadata.values()) for e in kept],
        "result": [result.asset_key.path, result.metadata, result.data_version.value, result.tags, result.value],
        "observed": [
            ObserveResult("k").asset_key.path,
            ObserveResult("k", data_version=DataVersion("y")).data_version.value,
        ],
    }
