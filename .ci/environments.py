"""The environments that checks, tests and the demo run in, made from nothing and kept up to date by what they hold.

Everything is tested as it is shipped: one wheel is built from the clone and installed, never the folder itself. An
environment carries two stamps, the hash of what was asked for and the hash of the wheel; it is made again when the first
differs, and gets the new wheel when the second does. Needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")

DAGSTER = (
    "dagster==1.13.27",
    "dagster-postgres==0.29.27",
    "dagster-k8s==0.29.27",
    "dagster-celery-k8s==0.29.27",
    "sqlalchemy<2.1",
    "psycopg2-binary",
    "redis",  # of the queues in bench/
)


# Environments are made side by side.
_BUILDING = threading.Lock()
_INSTALLING = threading.Lock()


class Failed(Exception):
    """A command that makes an environment failed. The message ends with the last lines it printed."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of the project.

    Attributes:
        folder: where it stands.
        extras: the package's extras that it holds (`[project.optional-dependencies]`).
    """

    folder: Path
    extras: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def command(self, name: str) -> str:
        return str(self.folder / "bin" / name)


DEVELOPMENT = Environment(ROOT / ".venv", ("dev",))
DEMO = Environment(CACHE / "venvs" / "demo")
USERS = Environment(CACHE / "venvs" / "users", ("celery", "kubernetes", "postgres"))
"""What benchmarks measure: no more than those install who use queues and clusters."""
DAGSTER_FOLDER = CACHE / "dagster-venv"


def for_python(version: str) -> Environment:
    """The environment of another Python, e.g. ``3.12``: the unit suite and the demo job run there."""
    return Environment(CACHE / "venvs" / version, ("metrics", "postgres", "s3", "tracing", "test"))


def run_quietly(command: list[str], log_name: str, *, cwd: Path = ROOT) -> None:
    """Run a command with its output in ``build/logs/<log_name>.log``.

    Raises:
        Failed: it exited with something other than 0.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{log_name}.log"
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        done = subprocess.run(
            command, check=False, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise Failed(f"{' '.join(command)} exited with {done.returncode}; {log} ends with:\n{tail}")


def version_of(python: str) -> str | None:
    """``3.12`` for an interpreter that starts and can make environments, else none."""
    question = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", question], check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def main_python() -> str:
    """The interpreter that this script runs on, when the project supports it.

    Raises:
        Failed: it does not.
    """
    version = version_of(sys.executable)
    if version in SUPPORTED:
        return sys.executable
    if version is None:
        raise Failed(f"{sys.executable} can not make environments; on Debian: apt-get install python3-venv")
    raise Failed(
        f"{sys.executable} is Python {version}; runplane runs on {', '.join(SUPPORTED)}: make PYTHON=python3.12"
    )


def other_pythons() -> dict[str, str]:
    """Version -> interpreter for the other supported Pythons that this machine has (PATH, pyenv)."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in SUPPORTED:
        if version == MINE:
            continue
        candidates = [str(p / "bin" / "python") for p in sorted(pyenv.glob(f"{version}.*"), reverse=True)]
        on_path = shutil.which(f"python{version}")
        candidates += [on_path] if on_path else []
        usable = [c for c in candidates if version_of(c) == version]
        if usable:
            found[version] = usable[0]
    return found


def shipped_files() -> list[Path]:
    """Every file that can change what the wheel holds."""
    skipped = {"tests", "docs", "examples", "bench", "deploy", "build", "dist", "__pycache__"}
    found = []
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [s for s in subfolders if s not in skipped and not s.startswith(".") and "egg-info" not in s]
        found += [Path(folder) / f for f in files if not f.endswith((".pyc", ".md"))]
    return sorted(found)


def sources_hash() -> str:
    digest = hashlib.sha256()
    for path in shipped_files():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def requirements_hash(environment: Environment, python: str) -> str:
    text = (ROOT / "pyproject.toml").read_text()
    asked = re.search(r"^dependencies = \[.*?(?=^\[project\.scripts\])", text, re.MULTILINE | re.DOTALL)
    assert asked is not None, "pyproject.toml: dependencies and extras stand before [project.scripts]"
    return hashlib.sha256(f"{asked.group()}|{environment.extras}|{python}".encode()).hexdigest()


def wheel() -> Path:
    """The wheel of the sources as they are now, built when it is not there yet.

    Raises:
        Failed: it can not be built.
    """
    with _BUILDING:
        return _wheel(BUILD / "wheel" / sources_hash()[:16])


def _wheel(folder: Path) -> Path:
    if not list(folder.glob("*.whl")):
        shutil.rmtree(BUILD / "wheel", ignore_errors=True)
        for stale in [BUILD / "lib", *BUILD.glob("bdist.*")]:  # setuptools ships what a former build left there
            shutil.rmtree(stale, ignore_errors=True)
        builder = CACHE / "venvs" / "builder"
        if not (builder / "ready").exists():
            make_venv(builder, main_python(), ["pip", "setuptools>=77", "wheel"], "environment-builder")
        command = [str(builder / "bin" / "python"), "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        run_quietly([*command, "-w", str(folder), str(ROOT)], "wheel")
    return next(folder.glob("*.whl"))


def make_venv(folder: Path, python: str, requirements: list[str], log_name: str, *, compiled: bool = False) -> None:
    """Make a virtual environment with these requirements; the file ``ready`` in it says that it is whole.

    Args:
        compiled: all of it is compiled now. Else whatever is started from it compiles what it imports: each time anew where
            PYTHONDONTWRITEBYTECODE is set, as in many images.
    """
    shutil.rmtree(folder, ignore_errors=True)
    run_quietly([python, "-m", "venv", str(folder)], log_name)
    try:
        command = [*quick_installer(), "--python", str(folder / "bin" / "python")]
        run_quietly([*command, *(["--compile-bytecode"] if compiled else []), *requirements], log_name)
    except Failed:  # pip says what is wrong, or can what uv can not
        run_quietly([*pip_install(folder), *requirements], log_name)
    (folder / "ready").touch()


def pip_install(folder: Path) -> list[str]:
    """pip's way to install into an environment."""
    return [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]


def quick_installer() -> list[str]:
    """uv's way to install into an environment: five of them are made, and pip takes a minute of CPU time for each.

    Raises:
        Failed: uv is not to be had here.
    """
    folder = CACHE / "venvs" / "uv"
    with _INSTALLING:
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run_quietly([main_python(), "-m", "venv", str(folder)], "environment-uv")
            run_quietly([*pip_install(folder), "uv"], "environment-uv")
            (folder / "ready").touch()
    return [str(folder / "bin" / "uv"), "pip", "install", "-q", *pips_sources()]


def pips_sources() -> list[str]:
    """Where pip is told to look for packages (variables and files that uv does not read), as options of uv."""
    listed = subprocess.run(
        [main_python(), "-m", "pip", "config", "list"], check=False, capture_output=True, text=True, timeout=60
    )
    found = re.findall(r"^[^=]*\.(index-url|extra-index-url|find-links)='(.*)'$", listed.stdout, re.MULTILINE)
    return [f"--{name}={value}" for name, values in found for value in values.split()]


def ready(environment: Environment, python: str | None = None) -> Environment:
    """Make the environment or bring it up to date, with the package built from the clone installed.

    Raises:
        Failed: an interpreter, a requirement or the package is not to be had.
    """
    python = python or main_python()
    package = wheel()
    asked, held = environment.folder / "asked-for", environment.folder / "package"
    log_name = f"environment-{environment.folder.name.lstrip('.')}"
    wanted = requirements_hash(environment, python)
    if not asked.exists() or asked.read_text() != wanted:
        extras = f"[{','.join(environment.extras)}]" if environment.extras else ""
        often_started = environment in (DEVELOPMENT, DEMO, USERS)
        make_venv(environment.folder, python, [f"{package}{extras}"], log_name, compiled=often_started)
        asked.write_text(wanted)
        held.write_text(package.parent.name)
    if held.read_text() != package.parent.name:
        run_quietly([*pip_install(environment.folder), "--no-deps", "--force-reinstall", str(package)], log_name)
        held.write_text(package.parent.name)
    return environment


def dagster_python() -> dict[str, str]:
    """An environment with a real Dagster, for parity tests and benchmarks: the variable that names its interpreter.

    Raises:
        Failed: it can not be made.
    """
    stamp = DAGSTER_FOLDER / "asked-for"
    wanted = f"{main_python()} {' '.join(DAGSTER)}"
    if not stamp.exists() or stamp.read_text() != wanted:
        make_venv(DAGSTER_FOLDER, main_python(), list(DAGSTER), "environment-dagster", compiled=True)
        stamp.write_text(wanted)
    return {"RUNPLANE_DAGSTER_PYTHON": str(DAGSTER_FOLDER / "bin" / "python")}
