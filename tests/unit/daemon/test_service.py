"""The daemon's process: what it keeps of others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from runplane.daemon.service import reap
from runplane.storage.contract import Owner
from runplane.storage.daemons import Daemons
from runplane.storage.liveness import start_time, this_process
from runplane.storage.sqlite import SqliteDatabase


def test_rows_of_killed_daemons_are_removed_and_others_stay() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me = this_process()
    killed = replace(this_process(), pid=process.pid, pid_started=start_time(process.pid) or 0)
    elsewhere = Owner("elsewhere", "another host", "boot", 1, 1)
    database = SqliteDatabase(None)
    daemons = Daemons(database)
    for owner in (me, killed, elsewhere):
        daemons.beat(owner, {})

    reap(daemons)
    assert len(daemons.all()) == 3
    process.kill()
    process.communicate()
    reap(daemons)

    assert {row.daemon_id for row in daemons.all()} == {me.worker_id, "elsewhere"}
    database.close()
