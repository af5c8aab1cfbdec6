"""Keys and certificates of one life of the node, and the administrator's kubeconfig. They are worth nothing after it."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

from cluster.settings import Settings

DAYS = "30"


def make(settings: Settings) -> None:
    """Make what the servers are started with, and the kubeconfig."""
    folder = settings.folder / "pki"
    folder.mkdir()
    _key(folder / "service-accounts.key")
    _openssl("ec", "-in", str(folder / "service-accounts.key"), "-pubout", "-out", str(folder / "service-accounts.pub"))
    _key(folder / "ca.key")
    subject = ["-subj", "/CN=runplane-tests"]
    _openssl(
        "req", "-x509", "-new", "-key", str(folder / "ca.key"), "-out", str(folder / "ca.crt"), "-days", DAYS, *subject
    )
    addresses = ["127.0.0.1", settings.node_address, settings.first_service_address]
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    _certificate(
        folder, "api-server", "/CN=kube-apiserver", [*(f"IP:{a}" for a in addresses), *(f"DNS:{n}" for n in names)]
    )
    _certificate(folder, "api-to-kubelet", "/CN=kube-apiserver-kubelet-client/O=system:masters", [])
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,1,"system:masters"\n')
    for path in (
        folder / "kubeconfig",
        settings.kubeconfig,
    ):  # the folder `run` of this machine is not seen from inside
        path.touch(mode=0o600)
        path.write_text(json.dumps(_kubeconfig(settings, folder, token)))  # JSON is YAML


def _kubeconfig(settings: Settings, folder: Path, token: str) -> dict[str, object]:
    name = "runplane-tests"
    certificate = subprocess.run(
        ["base64", "-w0", str(folder / "ca.crt")], check=True, capture_output=True, text=True
    ).stdout
    cluster = {"server": settings.api_url, "certificate-authority-data": certificate}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
        "current-context": name,
    }


def _certificate(folder: Path, name: str, subject: str, alternative: list[str]) -> None:
    _key(folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    _openssl("req", "-new", "-key", str(folder / f"{name}.key"), "-out", str(request), "-subj", subject)
    extensions.write_text(f"subjectAltName={','.join(alternative)}\n" if alternative else "")
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial",
        "-out", str(folder / f"{name}.crt"), "-days", DAYS, "-extfile", str(extensions),
    )  # fmt: skip


def _key(path: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
