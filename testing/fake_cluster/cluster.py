"""The cluster: store, API, controllers, one thread that acts on changes and times, and what a test asks of it."""

from __future__ import annotations

import heapq
import itertools
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from .api import Api
from .faults import Fault, Faults
from .http_server import Server
from .job_controller import ENDED, JobController
from .pods import FakePod, PodProgram, Script, succeeds
from .store import Change, Json, Refusal, Store

TOKEN = "token-of-the-fake-cluster"  # noqa: S105 - opens nothing but this


class FakeCluster:
    """A cluster in memory. Use it as a context manager::

        with FakeCluster() as cluster:
            os.environ["KUBECONFIG"] = str(cluster.kubeconfig(tmp_path))

    Args:
        program: what a new pod does; asked for each. The default ends well at once.

    Attributes:
        store: all objects, for a test that looks or changes behind everybody's back.
        faults: what goes wrong, and what was asked.
        jobs: the Job controller, with its settings.
        api: roles (``denied``), the token, the interval of bookmarks.
        errors: what went wrong in the cluster's own thread; a test that ends looks that it is empty.
    """

    def __init__(self, program: Callable[[FakePod], PodProgram] | None = None) -> None:
        self.store = Store()
        self.faults = Faults()
        self.api = Api(self.store, self.faults)
        self.api.token = TOKEN
        self.program = program or (lambda pod: Script(succeeds))
        self.jobs = JobController(self.store, self.api, self._after)
        self.errors: list[BaseException] = []
        self._pods: dict[str, tuple[FakePod, PodProgram]] = {}
        self._told_to_stop: dict[str, float] = {}
        self._owned: dict[str, set[tuple[str, str, str]]] = {}
        self._owners: set[str] = set()
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._work, name="fake-cluster", daemon=True)
        self.store.listen(lambda resource, change: self._inbox.put(lambda: self._react(resource, change)))
        self.store.create("namespaces", _named("Namespace", "default"))

    def start(self) -> FakeCluster:
        """Listen and act."""
        self._listen(0)
        self._thread.start()
        return self

    def close(self) -> None:
        """End it; what hangs goes on with an error."""
        self.faults.end_all()
        self.stop_api()
        self._inbox.put(None)
        self._thread.join()

    def __enter__(self) -> FakeCluster:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.close()

    # What a test asks -----------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, folder: Path, namespace: str = "default") -> Path:
        """A file for any client of Kubernetes."""
        file = folder / "kubeconfig.json"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": TOKEN}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}],
        }
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    def add_namespace(self, name: str) -> None:
        """One more."""
        self.store.create("namespaces", _named("Namespace", name))

    def fault(self, fault: Fault) -> Fault:
        """Make something go wrong from now on; see ``Fault``."""
        return self.faults.add(fault)

    def end_faults(self) -> None:
        """All goes well again."""
        self.faults.end_all()

    def cut_watches(self) -> None:
        """Close all watches, as a proxy does."""
        self.faults.cuts += 1

    def freeze_watches(self) -> None:
        """Watches stay open and tell nothing any more, until ``end_faults``."""
        self.faults.frozen.set()

    def expire_watches(self) -> None:
        """Close all watches; the versions that they know are too old (410)."""
        for resource in ("jobs", "pods"):
            self.store.forget(resource)
        self.cut_watches()

    def stop_api(self) -> None:
        """Nobody listens any more: connections are refused. Controllers and pods go on."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def start_api(self) -> None:
        """Listen again, at the same port."""
        self._listen(self._port)

    def counts(self, since: float = 0.0) -> Counter[str]:
        """Requests of each kind: ``create jobs``, ``watch pods``, ..."""
        return self.faults.counts(since)

    def all_jobs(self) -> list[Json]:
        """Every Job."""
        return self.store.all("jobs")[0]

    def all_pods(self) -> list[Json]:
        """Every pod."""
        return self.store.all("pods")[0]

    def pod_of(self, name: str) -> FakePod:
        """The handle of a pod by its name, or by the name of its Job (the newest), once its program has started."""
        stored = [
            pod["metadata"]["uid"]
            for pod in self.all_pods()
            if _is_called(name, pod["metadata"]["name"], pod["metadata"].get("labels") or {})
        ]
        self.wait_for(f"the start of the pod of {name}", lambda: self._pods.keys() >= set(stored))
        for pod, _ in reversed(list(self._pods.values())):
            if _is_called(name, pod.name, pod.labels):
                return pod
        raise KeyError(name)

    def wait_for(self, what: str, is_so: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait for a named moment."""
        limit = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > limit:
                raise TimeoutError(f"{what} did not come within {timeout_s} s")
            time.sleep(0.01)

    # The thread -----------------------------------------------------------------------------------------------------------------

    def _listen(self, port: int) -> None:
        self._server = Server(self.api, port)
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-api", daemon=True).start()

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        at = time.monotonic() + seconds
        self._inbox.put(lambda: heapq.heappush(self._timers, (at, next(self._count), what)))

    def _work(self) -> None:
        while True:
            try:
                wait = self._timers[0][0] - time.monotonic() if self._timers else None
                task = self._inbox.get(timeout=wait) if wait is None or wait > 0 else heapq.heappop(self._timers)[2]
            except queue.Empty:
                continue
            if task is None:
                return
            try:
                task()
            except Refusal:
                continue  # what it was about was deleted meanwhile
            except Exception as error:  # noqa: BLE001 - a test looks at them
                self.errors.append(error)

    def _react(self, resource: str, change: Change) -> None:
        meta = change.object["metadata"]
        gone = change.type == "DELETED"
        if resource in ("jobs", "pods"):
            self._keep_owners(resource, change.object, gone=gone)
        if resource == "pods":
            self.jobs.note_pod(change.object, gone=gone)
            self._run_pod(change.object, gone=gone)
            for owner in meta.get("ownerReferences") or ():
                if owner["kind"] == "Job":
                    self.jobs.sync(meta["namespace"], owner["name"])
        elif resource == "jobs" and not gone:
            self.jobs.sync(meta["namespace"], meta["name"])

    def _run_pod(self, pod: Json, *, gone: bool) -> None:
        uid, meta = pod["metadata"]["uid"], pod["metadata"]
        if gone:
            if uid in self._pods:
                self._pods[uid][0].is_over = True
            return
        if uid not in self._pods:
            handle = FakePod(self.store, self.api, pod, self._after)
            program = self.program(handle)
            try:
                if "deletionTimestamp" not in meta:
                    program.start(handle)
            finally:
                self._pods[uid] = (handle, program)
            return
        if "deletionTimestamp" not in meta:
            return
        if pod["status"].get("phase") in ENDED or not pod["spec"].get("nodeName"):
            self.store.remove("pods", meta["namespace"], meta["name"])
            return
        grace = float(meta.get("deletionGracePeriodSeconds", 30))
        if grace < self._told_to_stop.get(uid, float("inf")):
            self._told_to_stop[uid] = grace
            handle, program = self._pods[uid]
            program.stop(handle, grace)

    # Owners -----------------------------------------------------------------------------------------------------------------------

    def _keep_owners(self, resource: str, found: Json, *, gone: bool) -> None:
        """What the garbage collector does: an object whose owners are all gone goes too."""
        meta = found["metadata"]
        where = (resource, meta["namespace"], meta["name"])
        if gone:
            self._owners.discard(meta["uid"])
            for dependant in self._owned.pop(meta["uid"], set()):
                self._collect(*dependant)
            return
        self._owners.add(meta["uid"])
        for owner in meta.get("ownerReferences") or ():
            self._owned.setdefault(owner["uid"], set()).add(where)
        self._collect(*where)

    def _collect(self, resource: str, namespace: str, name: str) -> None:
        found = self.store.find(resource, namespace, name)
        owners = (found or {}).get("metadata", {}).get("ownerReferences") or ()
        if found is None or not owners or any(o["uid"] in self._owners for o in owners):
            return
        if resource == "pods":
            self.api.begin_deletion("pods", namespace, name, None)
        else:
            self.store.remove(resource, namespace, name)


def _is_called(name: str, own: str, labels: Mapping[str, str]) -> bool:
    return name in (own, labels.get("job-name"))


def _named(kind: str, name: str) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": ""}}
