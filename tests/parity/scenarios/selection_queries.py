"""Asset selection queries, the newer and the older form."""

import dagster as dg


@dg.asset(group_name="raw", kinds={"csv"}, owners=["team:data"], tags={"tier": "1", "flag": ""})
def a():
    return 1


@dg.asset(key_prefix="deep", ins={"a": dg.AssetIn("a")}, group_name="raw", tags={"tier": "2"})
def b(a):
    return a


@dg.asset(ins={"b": dg.AssetIn(["deep", "b"])}, kinds={"table"})
def c(b):
    return b


@dg.asset
def d(c):
    return c


@dg.asset
def alone():
    return 1


QUERIES = [
    "*",
    "a",
    "deep/b",
    "*c",
    "a*",
    "+c",
    "++c",
    "a+",
    "deep/b++",
    "+c+",
    "*c*",
    'key:"a"',
    "key:deep/b",
    'key:"deep/*"',
    "key:*b",
    'key:"a" or key:"d"',
    'group:"raw"',
    "group:raw and kind:csv",
    'kind:"table"',
    'owner:"team:data"',
    'tag:"tier=2"',
    'tag:"tier"="2"',
    "tag:tier=1",
    "tag:flag",
    'not group:"raw"',
    '+key:"c"',
    'key:"a"+',
    '1+key:"c"',
    'key:"a"+2',
    '1+key:"c"+1',
    '(key:"a" or key:"alone") and not kind:csv',
    "roots(*)",
    'sinks(group:"raw")',
    "key:a OR key:d",
    "not (key:a or key:alone)",
]
BAD = ["key:", "a b", "nonsense:x", "(key:a", 'key:"a" and']


def scenario():
    assets = [a, b, c, d, alone]

    def meaning(query):
        return sorted(k.to_user_string() for k in dg.AssetSelection.from_string(query).resolve(assets))

    found = {query: meaning(query) for query in QUERIES}

    def fails(query):
        try:
            meaning(query)
        except Exception:
            return "refused"
        return "taken"

    found.update({f"bad {query}": fails(query) for query in BAD})
    return found
