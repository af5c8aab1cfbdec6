"""What a real daemon shows to Prometheus is what the page says, and it is right."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

from runplane.events.status import RunStatus
from runplane.storage.pools import Pools
from services.daemons import DaemonRoom

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
MakeRoom = Callable[..., DaemonRoom]


def scrape(room: DaemonRoom) -> str:
    """The text of the first daemon's metrics."""
    port = re.search(r"localhost:(\d+)/metrics", room.logs())
    assert port is not None, room.logs()
    with urllib.request.urlopen(f"http://localhost:{port[1]}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def value(text: str, series: str) -> float | None:
    """Of one series, as it is written; None when it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def names_on_the_page() -> dict[str, str]:
    return dict(re.findall(r"^\| `(runplane_\w+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_a_daemon_shows_what_the_page_lists_and_the_numbers_are_right(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=2, more="run_monitoring: {enabled: true}\n")
    runs = [room.submit() for _ in range(5)]
    Pools(room.instance.database).set_limit("db", 3)
    room.start("--metrics-port", "0")
    room.wait_for("two launches", lambda: len(room.launches()) == 2)
    room.wait_for("their handles", lambda: value(scrape(room), "runplane_launch_latency_seconds_count") == 2)

    room.wait_for("the count of them", lambda: value(scrape(room), 'runplane_runs{status="STARTING"}') == 2)
    text = scrape(room)

    shown = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    created = {
        name for name in shown if name.endswith("_created")
    }  # of the client library: since when a counter counts
    assert {name: kind for name, kind in shown.items() if name not in created} == names_on_the_page()
    assert value(text, 'runplane_queue_runs{pool=""}') == len(runs) - 2
    assert value(text, 'runplane_runs{status="QUEUED"}') == len(runs) - 2
    assert value(text, 'runplane_pool_slots{pool="db"}') == 3
    assert value(text, "runplane_dequeue_latency_seconds_count") == 2
    assert value(text, 'runplane_loop_runs_total{loop="queue"}') == 2
    assert value(text, 'runplane_loop_active{loop="monitor"}') == 1
    assert value(text, "runplane_database_up") == 1
    assert 2 <= (value(text, "runplane_database_connections") or 0) <= 8
    assert room.count(RunStatus.QUEUED) == 3


def test_metrics_that_are_not_installed_are_said_with_the_command_that_installs_them(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=2)
    missing = "raise ModuleNotFoundError(\"No module named 'prometheus_client'\", name='prometheus_client')\n"
    (room.folder / "prometheus_client.py").write_text(missing, encoding="utf-8")

    said = room.cli("daemon", "run", "--metrics-port", "0")

    assert said.returncode == 2
    assert "metrics need the package 'prometheus_client'" in said.stderr
    assert "pip install 'runplane[metrics]'" in said.stderr


def test_without_the_option_nothing_of_it_is_loaded(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=2)
    (room.folder / "prometheus_client.py").write_text("raise SystemExit('loaded')\n", encoding="utf-8")
    run_id = room.submit()

    room.start()

    room.wait_for("a launch", lambda: run_id in dict(room.launches()))
