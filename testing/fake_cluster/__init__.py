"""A Kubernetes API over HTTP in memory: Jobs, Pods, their events and logs, list and watch, a Job controller, and faults on demand.

Admission test: a test of something that speaks to a cluster needs it, and no real cluster could be made to do the same on demand.
It speaks plain JSON and knows nothing of the official client.
"""

from .cluster import FakeCluster as FakeCluster
from .faults import Fault as Fault
from .pods import FakePod as FakePod
from .pods import PodProgram as PodProgram
from .process_pods import ProcessPods as ProcessPods
from .store import Refusal as Refusal
