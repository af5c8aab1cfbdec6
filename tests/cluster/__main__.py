"""``python -m cluster build | up | down | load IMAGE [NAME]``: the tests' Kubernetes node by hand, from the folder ``tests``.

``up`` prints the kubeconfig; the node stays until ``down``. ``load`` takes an image from the Docker daemon; with a NAME, pods get it
under that name too, from any registry they think.
"""

from __future__ import annotations

import sys

from cluster import images, lifecycle, programs
from cluster.sandbox import Sandbox
from cluster.settings import Settings


def main(arguments: list[str]) -> int:
    settings = Settings.from_environment()
    try:
        match arguments:
            case ["build"]:
                print(programs.folder())
            case ["up"]:
                print(lifecycle.up(settings, kept=True))
            case ["up", "--for-session"]:
                print(lifecycle.up(settings, kept=False))
            case ["down"]:
                lifecycle.down(settings)
            case ["down", "--for-session"]:
                lifecycle.down(settings, only_if_unused=True)
            case ["load", image, *names] if len(names) <= 1:
                _load(settings, image, names)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except programs.ClusterUnavailableError as error:
        print(f"no Kubernetes cluster: {error}", file=sys.stderr)
        return 3
    return 0


def _load(settings: Settings, image: str, names: list[str]) -> None:
    running = Sandbox.running(settings)
    if running is None:
        raise programs.ClusterUnavailableError("it is not up: python -m cluster up")
    images.load_from_docker(running, image)
    for name in names:
        images.publish(running, image, name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
