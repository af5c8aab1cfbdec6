"""IO managers of assets: what they see, keys and definitions of their own, external assets, input managers."""

import dagster as dg


class Memory(dg.IOManager):
    def __init__(self, name, kept, seen):
        self.name, self.kept, self.seen = name, kept, seen

    def handle_output(self, context, obj):
        self.seen.append(
            [
                self.name,
                "out",
                context.has_asset_key,
                context.asset_key.to_user_string() if context.has_asset_key else "-",
                context.step_key,
                context.name,
                dict(context.definition_metadata),
            ]
        )
        key = tuple(context.asset_key.path) if context.has_asset_key else tuple(context.get_identifier())
        self.kept[key] = obj
        context.add_output_metadata({"by": self.name})

    def load_input(self, context):
        up = context.upstream_output
        self.seen.append(
            [
                self.name,
                "in",
                context.has_asset_key,
                context.asset_key.to_user_string() if context.has_asset_key else "-",
                up.asset_key.to_user_string() if up.has_asset_key else "-",
                context.name,
                dict(up.definition_metadata),
                dict(context.definition_metadata),
            ]
        )
        key = tuple(context.asset_key.path) if context.has_asset_key else tuple(context.get_identifier())
        return self.kept.get(key, 100)


@dg.asset(io_manager_key="left", metadata={"schema": "s"}, key_prefix="p")
def one():
    return 1


@dg.asset(ins={"one": dg.AssetIn(key_prefix="p", metadata={"columns": "c"})})
def two(one):
    return one + 1


@dg.asset(ins={"x": dg.AssetIn("outside"), "y": dg.AssetIn("two", input_manager_key="left")})
def three(x, y):
    return x + y


def scenario():
    kept, seen = {}, []

    def manager(name):
        return dg.IOManagerDefinition.hardcoded_io_manager(Memory(name, kept, seen))

    outside = dg.SourceAsset("outside", io_manager_key="left", metadata={"where": "there"})
    resources = {"left": manager("left"), "io_manager": manager("right")}
    first = dg.materialize([one, two, three, outside], resources=resources)
    told, seen[:] = list(seen), []
    later = dg.materialize([one, two, three, outside], resources=resources, selection=["three"])
    spec = dg.AssetSpec("outside").with_io_manager_key("left")
    external = dg.materialize([three, two, one, spec], resources=resources, selection=["three"])
    return {
        "first": first,
        "told": told,
        "later": later,
        "later told": list(seen),
        "later value": later.asset_value("three"),
        "external": external,
        "labels": sorted(first.asset_materializations_for_node("p__one")[0].metadata),
    }
