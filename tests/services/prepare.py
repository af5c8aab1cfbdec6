"""``python -m services.prepare up | down | s3 | cluster``: what the tests' containers need, before the tests start.

``up`` finds or starts a Docker daemon, builds the services image, and prints the environment variables for the tests as
``NAME=value`` lines. Where that can not be had it says why on stderr and exits with 3: tests then fall back on server
programs, or are skipped (in CI: fail). CI has both, so that the fall-back is tested too. ``down`` stops the daemon that
``up`` started, and a Kubernetes node that nobody uses any more. ``s3`` builds the S3 gateway, ``cluster`` the programs of the node:
that takes minutes the first time, so they are called beside the first suites.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cluster import lifecycle, programs
from cluster.settings import Settings
from services import browser, docker_daemon, images, s3


def up() -> int:
    if os.environ.get("CI"):
        _server_programs()
    try:
        host = docker_daemon.up()
    except docker_daemon.DockerUnavailableError as error:
        print(f"no Docker: {error}", file=sys.stderr)
        _server_programs()
        return 3
    if host:
        os.environ["DOCKER_HOST"] = host
        print(f"DOCKER_HOST={host}")
    try:
        print(f"RUNPLANE_TEST_SERVICES_IMAGE={images.services_image()}")
    except (images.BuildFailedError, docker_daemon.DockerUnavailableError) as error:
        print(f"no services image: {error}", file=sys.stderr)
        _server_programs()
        return 3
    return 0


def _server_programs() -> None:
    """Programs that tests call, where they can be installed: the servers themselves, a browser, shells, a C compiler."""
    has_postgres = any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    missing = [] if has_postgres else ["postgresql"]
    missing += [] if shutil.which("pgbouncer") else ["pgbouncer"]
    missing += [name for name in ("redis-server", "rabbitmq-server") if shutil.which(name) is None]
    missing += [] if browser.program() else ["chromium"]
    missing += [program for program in ("zsh", "fish", "gcc") if shutil.which(program) is None]
    missing += ["libc6-dev"] if "gcc" in missing else []  # what it recommends is not installed with it
    if not missing or os.geteuid() != 0:
        return
    try:
        docker_daemon.install(*missing)
    except docker_daemon.DockerUnavailableError as error:
        print(f"no server programs: {error}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    if arguments == ["up"]:
        return up()
    if arguments == ["down"]:
        lifecycle.down(Settings.from_environment(), only_if_unused=True)
        docker_daemon.down()
        return 0
    if arguments == ["s3"]:
        try:
            print(s3.program())
        except s3.S3UnavailableError as error:
            print(f"no S3 gateway: {error}", file=sys.stderr)
            return 3
        return 0
    if arguments == ["cluster"]:
        try:
            programs.install_packages()
            print(programs.folder())
        except programs.ClusterUnavailableError as error:
            print(f"no Kubernetes cluster: {error}", file=sys.stderr)
            return 3
        return 0
    print("usage: python -m services.prepare up | down | s3 | cluster", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
