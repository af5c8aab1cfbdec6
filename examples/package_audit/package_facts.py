"""Facts about installed distributions. Imports are timed in a process of their own, with a time limit."""

import re
import subprocess
import sys
from importlib import metadata

_TIMED_IMPORT = """
import importlib, sys, time
began = time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print("seconds", time.perf_counter() - began)
"""


def installed(only, limit):
    """Names of the distributions, sorted; `only` some of them, at most `limit` (0: all)."""
    names = {d.metadata["Name"] for d in metadata.distributions() if d.metadata["Name"]}
    if only:
        names &= set(only)
    chosen = sorted(names, key=str.casefold)
    return chosen[:limit] if limit else chosen


def mapping_keys(names):
    """A mapping key for each name: letters, digits and ``_``; different for different names."""
    keys = {}
    for name in names:
        key = re.sub(r"[^A-Za-z0-9]+", "_", name)
        while key in keys:
            key += "_"
        keys[key] = name
    return keys


def measure(name, import_timeout_s):
    """One row: everything that could be found out about a distribution, and `problem` for what could not."""
    row = {"name": name, "version": "", "licence": "", "files": 0, "bytes": 0, "import_s": None, "problem": ""}
    try:
        distribution = metadata.distribution(name)
        files = distribution.files or []
        row["version"] = distribution.version
        row["licence"] = licence(distribution.metadata)
        row["files"] = len(files)
        row["bytes"] = sum(size(file.locate()) for file in files)
        modules = top_level_modules(files)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with somebody's package is a row of the report
        row["problem"] = f"{type(error).__name__}: {error}"
        return row
    if not modules:
        row["problem"] = "nothing to import"
        return row
    row["import_s"], row["problem"] = time_import(modules, import_timeout_s)
    return row


def licence(fields):
    """The licence in a few words: the expression, else what the classifiers say, else the first line of the field."""
    expression = fields.get("License-Expression")
    if expression:
        return expression
    classifiers = [c.split(" :: ")[-1] for c in fields.get_all("Classifier", []) if c.startswith("License :: ")]
    if classifiers and classifiers != ["OSI Approved"]:
        return ", ".join(c for c in classifiers if c != "OSI Approved")
    lines = (fields.get("License") or "").strip().splitlines()
    return lines[0][:60] if lines else "not stated"


def size(path):
    """Bytes of a file; 0 when it is not there any more."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def top_level_modules(files):
    """What can be imported: top-level packages and modules among the installed files, public ones first."""
    found = set()
    for file in files:
        if file.parts[0].endswith((".dist-info", ".egg-info", ".data")) or ".." in file.parts:
            continue
        if len(file.parts) == 2 and file.name == "__init__.py":
            found.add(file.parts[0])
        elif len(file.parts) == 1 and file.name.endswith((".py", ".so")):
            found.add(file.name.split(".")[0])
    names = sorted(name for name in found if name.isidentifier())
    return [name for name in names if not name.startswith("_")] or names


def time_import(modules, timeout_s):
    """Seconds that a fresh Python takes to import `modules`, or None and the reason."""
    command = [sys.executable, "-X", "utf8", "-c", _TIMED_IMPORT, *modules]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"the import took more than {timeout_s:g} s"
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("seconds "):
            return float(line.split()[1]), ""
    last = done.stderr.strip().splitlines()[-1:] or [f"Python ended with {done.returncode}"]
    return None, f"the import failed: {last[0][:200]}"
