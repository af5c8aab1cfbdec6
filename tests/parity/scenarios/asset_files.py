"""The default IO manager keeps assets in files by key; a later run takes them from there."""

import dagster as dg


@dg.asset(key_prefix=["deep", "er"])
def made():
    return {"n": 1}


@dg.asset(ins={"made": dg.AssetIn(["deep", "er", "made"])})
def takes(made):
    return made["n"] + 1


def scenario(folder):
    manager = {"io_manager": dg.FilesystemIOManager(base_dir=str(folder))}
    first = dg.materialize([made], resources=manager)
    second = dg.materialize([made, takes], resources=manager, selection=["takes"])
    nothing = dg.materialize([made, takes], selection=["takes"], raise_on_error=False)
    return {
        "first": first,
        "second": second,
        "value": second.asset_value("takes"),
        "files": sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()),
        "nothing there": nothing,
        "in memory": dg.materialize_to_memory([made, takes]),
        "in memory with a manager": lambda: dg.materialize_to_memory([made], resources=manager),
    }
