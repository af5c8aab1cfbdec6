"""What an import may leave behind that does not survive a fork, and what is done about it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runplane.executors.template.inspection import before, unsafe_to_fork
from services.fixtures import not_to_be_had
from services.multiprocess_room import Room

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it in /proc")

THREAD = (
    "import threading, time; threading.Thread(target=time.sleep, args=(600,), name='heartbeat', daemon=True).start()"
)
SOCKET = "import builtins, socket; s = builtins.kept_socket = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()"
LIBRARY = (
    "import builtins, mmap; f = open({path!r}, 'rb'); builtins.kept_map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)"
)


def prepared(folder: Path, code: str) -> tuple[Room, tuple[str, ...], dict[str, object]]:
    """A room whose code was imported; what was found; where a step ran."""
    room = Room(folder, code)
    with room:
        room.runner.prepare()
        return room, room.processes.findings, dict(room.outcome(room.start("ok")).body)


def test_a_plain_import_is_forked(tmp_path: Path) -> None:
    _, findings, _ = prepared(tmp_path, "import json")

    assert findings == ()


def test_a_thread_is_named_and_steps_are_started_anew(tmp_path: Path) -> None:
    with Room(tmp_path, THREAD) as room:
        room.runner.prepare()
        outcome = room.outcome(room.start("ok"))
        opening = room.runner.opening(["ok"])

    assert room.processes.findings == ("the thread 'heartbeat'",)
    assert outcome.kind == "STEP_SUCCESS"
    assert opening[1].body["message"] == (
        "Multiprocess executor: each step is started anew instead of forked, because the import of the code left what does not "
        "survive a fork: the thread 'heartbeat'."
    )


def test_a_socket_is_named(tmp_path: Path) -> None:
    _, findings, _ = prepared(tmp_path, SOCKET)

    assert len(findings) == 1
    assert findings[0].startswith("the socket 127.0.0.1:")


def test_an_accelerators_library_is_named(tmp_path: Path) -> None:
    library = tmp_path / "libcuda.so.1"
    library.write_bytes(b"\0" * 4096)

    _, findings, _ = prepared(tmp_path, LIBRARY.format(path=str(library)))

    assert findings == (f"the accelerator library {library}",)


OPENMP = r"""
#include <omp.h>
int runs(void) { int n = 0;
#pragma omp parallel num_threads(3) reduction(+:n)
    n += 1;
    return n; }
"""


def test_the_threads_of_openmp_are_named(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        not_to_be_had("no C compiler (gcc)")
    source, library = tmp_path / "omp.c", tmp_path / "libruns.so"
    source.write_text(OPENMP)
    subprocess.run(["gcc", "-fopenmp", "-shared", "-fPIC", "-o", library, source], check=True)

    _, findings, _ = prepared(tmp_path, f"import ctypes; assert ctypes.CDLL({str(library)!r}).runs() == 3")

    assert findings == ("2 threads of a library (not Python's)",)


def test_a_module_that_holds_much_memory_is_forked(tmp_path: Path) -> None:
    _, findings, outcome = prepared(tmp_path, "import builtins; builtins.kept_bytes = bytearray(800_000_000)")

    assert findings == ()
    assert outcome["pid"] != outcome["parent"]


def test_what_was_there_before_the_import_is_not_held_against_it() -> None:
    mine, other = socket.socketpair()
    earlier = before()
    later = socket.socket()
    fd = later.fileno()
    try:
        found = unsafe_to_fork(earlier)
    finally:
        for sock in (mine, other, later):
            sock.close()

    sockets = [f for f in found if f.startswith("the socket")]
    assert sockets == [f"the socket 0.0.0.0:0 (descriptor {fd})"]


def test_a_device_is_named(tmp_path: Path) -> None:
    proc = tmp_path / "self"
    (proc / "fd").mkdir(parents=True)
    (proc / "task" / str(threading.get_native_id())).mkdir(parents=True)
    os.symlink("/dev/nvidia0", proc / "fd" / "5")
    (proc / "maps").write_text("7f00-7f10 r--p 00000000 00:00 0\n7f20-7f30 rw-s 00000000 00:05 99   /dev/nvidiactl\n")

    found = unsafe_to_fork(before(proc), proc)

    assert found == ["the accelerator device /dev/nvidia0", "the accelerator device /dev/nvidiactl"]
