"""The node's servers: what each is called with, and the files that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cluster.programs import CNI
from cluster.settings import Settings

PAUSE_IMAGE = "runplane.test/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
REGISTRY = "127.0.0.1:5000"
"""In the node's own network: no other process can be in its way."""
NODE_GRACE_S = 30
"""A node that is not heard of for so long is unreachable: longer than the outages that no run is to notice. Pods stay for five minutes more, unless they tolerate that for less."""


def commands(settings: Settings, programs: Path) -> dict[str, list[str]]:
    """Server -> its command line, in the order in which they are started."""
    folder, pki = settings.folder, settings.folder / "pki"
    client = f"--kubeconfig={pki}/kubeconfig"
    etcd = "http://127.0.0.1:2379"
    return {
        "etcd": [
            "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
        ],
        "docker-registry": ["docker-registry", "serve", f"{folder}/registry.yaml"],
        "containerd": ["containerd", f"--config={folder}/containerd.toml"],
        "kube-apiserver": [
            f"{programs}/kube-apiserver", f"--etcd-servers={etcd}", "--secure-port=6443", f"--advertise-address={settings.node_address}",
            f"--tls-cert-file={pki}/api-server.crt", f"--tls-private-key-file={pki}/api-server.key",
            f"--client-ca-file={pki}/ca.crt", f"--token-auth-file={pki}/tokens.csv", "--authorization-mode=Node,RBAC",
            f"--service-account-key-file={pki}/service-accounts.pub",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={settings.service_network}",
            "--allow-privileged", f"--kubelet-client-certificate={pki}/api-to-kubelet.crt",
            f"--kubelet-client-key={pki}/api-to-kubelet.key", "--kubelet-preferred-address-types=InternalIP", "--profiling=false",
        ],
        "kube-controller-manager": [
            f"{programs}/kube-controller-manager", client, f"--service-account-private-key-file={pki}/service-accounts.key",
            f"--root-ca-file={pki}/ca.crt", "--leader-elect=false", "--allocate-node-cidrs", f"--cluster-cidr={settings.pod_network}",
            "--secure-port=0", "--kube-api-qps=100", "--kube-api-burst=200", f"--flex-volume-plugin-dir={folder}/volume-plugins",
            "--node-monitor-period=1s", f"--node-monitor-grace-period={NODE_GRACE_S}s",
        ],
        "kube-scheduler": [
            f"{programs}/kube-scheduler", client, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=100", "--kube-api-burst=200",
        ],
        "kubelet": [
            f"{programs}/kubelet", client, f"--config={folder}/kubelet.json", f"--hostname-override={settings.name}",
            f"--node-ip={settings.node_address}",
        ],
        "kube-proxy": [
            f"{programs}/kube-proxy", client, f"--hostname-override={settings.name}", f"--cluster-cidr={settings.pod_network}",
            "--proxy-mode=iptables", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
        "cluster-dns": [f"{programs}/cluster-dns", client, f"--listen={settings.node_address}:53"],
    }  # fmt: skip


def write_files(settings: Settings) -> None:
    """Write the configuration files of kubelet, containerd, the pods' network and the registry."""
    folder = settings.folder
    for name, text in _files(settings).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _files(settings: Settings) -> Mapping[str, str]:
    folder = settings.folder
    return {
        "kubelet.json": json.dumps(_kubelet(settings), indent=2),
        "resolv.conf": "",  # pods know names of the cluster only, whatever machine this is
        "containerd.toml": _containerd(folder),
        "cni/10-pods.conflist": json.dumps(_pod_network(settings.pod_network), indent=2),
        # Whatever an image's name says about its registry: it is asked for here.
        "mirrors/_default/hosts.toml": f'[host."http://{REGISTRY}"]\n  capabilities = ["pull", "resolve"]\n',
        "registry.yaml": json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": f"{folder}/registry"}},
                "http": {"addr": REGISTRY},
            }
        ),
    }


def _kubelet(settings: Settings) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{settings.folder}/pki/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.cgroup}",
        "clusterDNS": [settings.node_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "maxPods": 250,
        "nodeLeaseDurationSeconds": 4,  # renewed each second
        "oomScoreAdj": 0,
        "registryPullQPS": 0,
        "resolvConf": f"{settings.folder}/resolv.conf",
        "serializeImagePulls": False,
        "volumePluginDir": f"{settings.folder}/volume-plugins",
    }


def _containerd(folder: Path) -> str:
    return f"""version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE_IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{folder}/mirrors"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _pod_network(pods: str) -> dict[str, object]:
    """A line of its own for each pod (no bridge): the service addresses of pods work without the module `br_netfilter`."""
    of_node = pods.rsplit("/", 1)[0] + "/24"
    addresses = {"type": "host-local", "ranges": [[{"subnet": of_node}]], "routes": [{"dst": "0.0.0.0/0"}]}
    # What leaves the node has the node's address: this machine needs no route to the pods.
    line = {"type": "ptp", "ipMasq": True, "ipam": addresses}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [line, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }
