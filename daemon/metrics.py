"""What a daemon shows to Prometheus, over HTTP. The names are listed in ``docs/reference/metrics.md``; a test holds that list.

Loaded only when metrics are asked for. Source of the form: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..storage.figures import Figures
from ..storage.step_queues import QueueFigures
from .contract import LoopReport
from .figures_loop import FiguresLoop
from .loop_thread import LoopThread
from .service import Service

PASS_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class Metrics:
    """The metrics of one daemon.

    Args:
        figures: what is known of the database.

    Attributes:
        registry: holds them all.
    """

    def __init__(self, figures: FiguresLoop) -> None:
        self._figures = figures
        self.registry = CollectorRegistry()
        self._took = Histogram(
            "runplane_loop_duration_seconds",
            "How long the passes of a loop took that ended well.",
            ["loop"],
            buckets=PASS_BUCKETS_S,
            registry=self.registry,
        )
        self._latencies = {
            "queue": self._latency("dequeue", "How long runs that this daemon took from the queue had waited there."),
            "launch": self._latency("launch", "How long it took from leaving the queue until the worker was started."),
        }

    def _latency(self, name: str, documentation: str) -> Histogram:
        full = f"runplane_{name}_latency_seconds"
        return Histogram(full, documentation, buckets=WAIT_BUCKETS_S, registry=self.registry)

    def passed(self, loop: str, took_s: float, report: LoopReport) -> None:
        """See ``PassWatch``."""
        self._took.labels(loop).observe(took_s)
        if loop in self._latencies:
            for latency_s in report.latencies_s:
                self._latencies[loop].observe(latency_s)

    def show(self, service: Service) -> None:
        """Show how this daemon is, too."""
        self.registry.register(_Now(service, self._figures))

    def serve(self, port: int) -> int:
        """Answer ``GET /metrics`` on all addresses, from threads of their own.

        Args:
            port: 0: any that is free.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        server, _ = start_http_server(port, registry=self.registry)
        return int(server.server_port)


class _Now(Collector):
    """What is so at the moment it is asked for."""

    def __init__(self, service: Service, figures: FiguresLoop) -> None:
        self._service = service
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """See ``Collector``."""
        info = _gauge("daemon_info", "1; its version is a label.", ["version"])
        info.add_metric([__version__], 1)
        yield info
        figures = self._figures.newest
        yield _one("database_up", "Whether the database was read lately.", figures is not None)
        text = "Connections to the database that this daemon has open."
        yield _one("database_connections", text, self._service.connections)
        yield from _of_loops(self._service.threads)
        if figures is not None:
            yield from _of_database(figures)


def _of_loops(threads: Sequence[LoopThread]) -> Iterable[Metric]:
    active = _gauge("loop_active", "1 while this daemon does what the loop is for, 0 while another one does.", ["loop"])
    lag = _gauge("loop_lag_seconds", "How long ago the loop's next pass should have ended well.", ["loop"])
    done = _counter("loop_runs", "Runs that a loop did something for.", ["loop"])
    problems = _counter("loop_errors", "What a loop raised, and what went wrong with single runs.", ["loop"])
    lost = _counter("lease_losses", "How often another daemon took a loop over from this one.", ["loop"])
    for thread in threads:
        name = [thread.loop.name]
        active.add_metric(name, thread.is_active)
        lag.add_metric(name, thread.lag_s)
        done.add_metric(name, thread.done)
        problems.add_metric(name, thread.problems)
        lost.add_metric(name, thread.leases_lost)
    return (active, lag, done, problems, lost)


def _of_database(figures: Figures) -> Iterable[Metric]:
    runs = _gauge("runs", "Runs by status.", ["status"])
    for status, count in figures.runs.items():
        runs.add_metric([status.value], count)
    waiting = _gauge("queue_runs", "Runs in the queue by the pool that their first steps need.", ["pool"])
    oldest = _gauge("queue_oldest_seconds", "How long the oldest of them has waited.", ["pool"])
    for name, count in figures.waiting.items():
        waiting.add_metric([name], count)
        oldest.add_metric([name], figures.oldest_s[name])
    slots = _gauge("pool_slots", "Slots of a pool; without a limit there is none.", ["pool"])
    used = _gauge("pool_slots_used", "Slots of a pool that are taken.", ["pool"])
    for pool in figures.pools:
        used.add_metric([pool.name], pool.used)
        if pool.slots is not None:
            slots.add_metric([pool.name], pool.slots)
    return (runs, waiting, oldest, slots, used, *_of_step_queues(figures.step_queues))


def _of_step_queues(queues: Sequence[QueueFigures]) -> Iterable[Metric]:
    label = ["queue"]
    waiting = _gauge("step_queue_waiting", "Steps, and runs as tasks, that no worker has taken.", label)
    oldest = _gauge("step_queue_oldest_seconds", "How long the oldest of them has waited.", label)
    running = _gauge(
        "step_queue_slots_used", "Slots of a queue that are in use, those of dead workers included.", label
    )
    slots = _gauge("step_queue_slots", "Slots of the workers that listen to a queue and were heard of.", label)
    workers = _gauge("step_queue_workers", "How many these are; 0 while something waits: start one.", label)
    for found in queues:
        waiting.add_metric([found.name], found.waiting)
        oldest.add_metric([found.name], found.oldest_s)
        running.add_metric([found.name], found.running)
        slots.add_metric([found.name], found.slots)
        workers.add_metric([found.name], found.workers)
    return (waiting, oldest, running, slots, workers)


def _gauge(name: str, documentation: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"runplane_{name}", documentation, labels=labels)


def _counter(name: str, documentation: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"runplane_{name}", documentation, labels=labels)


def _one(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"runplane_{name}", documentation, value=value)
