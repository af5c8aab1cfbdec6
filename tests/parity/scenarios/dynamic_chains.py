"""Chains of mapped ops, several outputs of a mapped op, a graph that is mapped, a collector among others."""

from dagster import DynamicOut, DynamicOutput, Out, graph, job, op


@op(out=DynamicOut())
def pieces():
    for i in range(2):
        yield DynamicOutput(i, mapping_key=f"p{i}")


@op
def plus(x, y):
    return x + y


@op
def ten():
    return 10


@op(out={"low": Out(), "high": Out()})
def split(x):
    return x - 1, x + 1


@op
def total(xs, extra):
    return sum(xs) + extra


@graph
def both(x):
    return plus(x, ten())


@op(out={"named": DynamicOut(), "plain": Out()})
def several():
    yield DynamicOutput(1, mapping_key="a", output_name="named")
    from dagster import Output

    yield Output(5, "plain")


@op
def double(x):
    return 2 * x


@job
def chained():
    extra = ten()

    def each(piece):
        low, high = split(plus(piece, extra))
        return double(low), double.alias("double_high")(high)

    lows, highs = pieces().map(each)
    total(lows.collect(), extra)
    total.alias("of_highs")(highs.collect(), extra)


@job
def mapped_graph():
    total(pieces().map(both).collect(), ten.alias("other_ten")())


@job
def of_several():
    named, plain = several()
    total(named.map(double).collect(), plain)


@op(out=DynamicOut())
def listed():
    return [DynamicOutput(i, mapping_key=str(i)) for i in range(2)]


@job
def chain_of_maps():
    listed().map(double).map(double.alias("again"))


def scenario():
    result, of_graph, other = (j.execute_in_process() for j in (chained, mapped_graph, of_several))
    maps = chain_of_maps.execute_in_process()
    return {
        "chained": result,
        "lows": result.output_for_node("double"),
        "total": result.output_for_node("total"),
        "of highs": result.output_for_node("of_highs"),
        "graph": of_graph,
        "graph total": of_graph.output_for_node("total"),
        "several": other.output_for_node("total"),
        "maps": maps,
        "again": maps.output_for_node("again"),
    }
