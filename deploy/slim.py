"""Makes the environment of the image small, and quick to start: ``python -X no_debug_ranges slim.py`` by its own Python, in the build stage.

The root of a pod may be read-only, so byte code is made here or never. What a pod loads at its start stays where it was installed;
packages that few load go into one archive, from which all of them can be imported, at a fifth of their size.
"""

from __future__ import annotations

import compileall
import re
import shutil
import sysconfig
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

SITE = Path(sysconfig.get_path("purelib"))
ARCHIVE = SITE.parent.parent / "archive.zip"
ARCHIVED = (
    "kubernetes", "dateutil", "durationpy", "idna", "oauthlib", "requests", "requests_oauthlib", "websocket",  # for whoever asks a cluster
    "pydantic", "annotated_types", "typing_inspection",  # for users' `Config` classes
    "rich", "pygments", "markdown_it", "mdurl", "mako",  # for terminals, and to write migrations
)  # fmt: skip
"""Packages of nothing but Python, which ask for no file of theirs by its path."""
LEXERS = (
    "_css_builtins|_lua_builtins|_mapping|_scheme_builtins|actionscript|agile|css|d|data|factor|html|iolang|javascript|jvm|lisp|perl|php"
    "|python|ruby|scripting|tcl|web|webmisc"
)
"""Those of pygments that mako, and so alembic, loads."""
NOT_COMPILED = re.compile(
    r"/(kubernetes/client/(api|models)/(?!__init__)|sqlalchemy/dialects/(mysql|mssql|oracle)/|pydantic/v1/"
    rf"|pygments/lexers/(?!(__init__|{LEXERS})\.py))"
)
"""Loads as ever, a little later: the first import compiles it. runplane loads none of it."""
TESTS = ("alembic/testing", "certifi/tests", "mako/testing", "sqlalchemy/testing", "websocket/tests")
FOR_COMPILERS = ("*.c", "*.h", "*.pxd", "*.pyi", "*.pyx")
AIO = """\
raise ImportError(
    "kubernetes.aio is not in runplane's image, where it would take 8 MB. The whole client, in its place: "
    "python3 -m pip --python /opt/runplane/bin/python install --force-reinstall kubernetes"
)
"""


def main() -> None:
    leave_out()
    archived = [SITE / name for name in ARCHIVED if (SITE / name).exists()]
    for package in archived:
        # Beside the text, as an archive wants it; nobody changes a file in there, so none is looked at for its age.
        _compile(package, legacy=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for package in archived:
            for file in sorted(p for p in package.rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(SITE))
            shutil.rmtree(package)
    SITE.joinpath("archive.pth").write_text(f"{ARCHIVE}\n")
    _compile(SITE)


def leave_out() -> None:
    """Remove what no program in the image can have a use for, and the asynchronous twin of the Kubernetes client."""
    for name in TESTS:
        shutil.rmtree(SITE / name, ignore_errors=True)
    for pattern in FOR_COMPILERS:
        for file in list(SITE.rglob(pattern)):
            file.unlink()
    twin = SITE / "kubernetes" / "aio"
    if twin.exists():
        shutil.rmtree(twin)
        twin.mkdir()
        twin.joinpath("__init__.py").write_text(AIO)


def _compile(folder: Path, **how: object) -> None:
    if not compileall.compile_dir(folder, maxlevels=30, quiet=1, rx=NOT_COMPILED, **how):  # type: ignore[arg-type]
        raise SystemExit(f"{folder} can not be compiled")


if __name__ == "__main__":
    main()
