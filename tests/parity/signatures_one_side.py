"""Public names and members of one library with their parameters: run by a Python that has it, with its name as argument; prints JSON.

``names``: every public name. ``members``: class -> member. Each with its parameters in order ([name, has a default, by name only]); a member
that is no function is ``value``.
"""

import ast
import importlib
import inspect
import json
import sys
import textwrap
import types
import warnings

CLASSES = [
    *("ExecuteInProcessResult", "JobExecutionResult", "OpExecutionContext", "AssetExecutionContext", "HookContext"),
    *("AssetCheckExecutionContext", "InputContext", "OutputContext", "InitResourceContext", "InitLoggerContext"),
    *("DagsterEvent", "MaterializeResult", "TypeCheckContext", "DagsterInstance"),
]
# Of these only the members that Dagster's reference documents are meant: most others serve its own processes.
DOCUMENTED_ONLY = ["DagsterInstance"]


def parameters(function, *, bound):
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if bound and not found and parameter.name in ("self", "cls"):
            bound = False
            continue
        found.append(described(parameter))
    return found


def described(parameter):
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    by_name_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return [stars + parameter.name, parameter.default is not inspect.Parameter.empty, by_name_only]


def member(cls, name):
    found = inspect.getattr_static(cls, name)
    if isinstance(found, (staticmethod, classmethod)):
        return parameters(found.__func__, bound=isinstance(found, classmethod))
    if inspect.isfunction(found):
        return parameters(found, bound=True)
    return "value"


def members(cls):
    inherited = set(dir(tuple)) | set(dir(str))
    names = {n for n in dir(cls) if not n.startswith("_") and n not in inherited}
    names |= {n for n in getattr(cls, "__slots__", ()) if not n.startswith("_")}
    names |= {n for n in own_attributes(cls) if not n.startswith("_")}
    if cls.__name__ in DOCUMENTED_ONLY:
        names = {n for n in names if is_documented(cls, n)}
    return {name: member(cls, name) if hasattr(cls, name) else "value" for name in sorted(names)}


def is_documented(cls, name):
    """Whether the class's own library marks the member as public."""
    from dagster._annotations import is_public

    found = inspect.getattr_static(cls, name)
    return is_public(getattr(found, "fget", None) or getattr(found, "__func__", None) or found)


def own_attributes(cls):
    """Attributes of objects, which are in no namespace of the class: what ``__init__`` sets, and fields."""
    found = set()
    for base in cls.__mro__:
        found.update(getattr(base, "__annotations__", ()))
        init = vars(base).get("__init__")
        if inspect.isfunction(init) and init.__code__.co_filename != "<string>":
            found.update(
                node.attr
                for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(init))))
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            )
    return found


def callable_parameters(value):
    try:
        found = [described(p) for p in inspect.signature(value).parameters.values()]
    except (TypeError, ValueError):
        return None
    return None if [name for name, *_ in found] == ["*args", "**kwargs"] else found


def main():
    warnings.simplefilter("ignore")
    library = importlib.import_module(sys.argv[1])
    names = [n for n in dir(library) if not n.startswith("_") and n != "annotations"]
    public = {n: getattr(library, n) for n in names}
    public = {n: v for n, v in public.items() if not isinstance(v, types.ModuleType)}
    print(
        json.dumps(
            {
                "names": {n: callable_parameters(v) if callable(v) else None for n, v in public.items()},
                "members": {n: members(public[n]) for n in CLASSES if n in public},
            }
        )
    )


if __name__ == "__main__":
    main()
