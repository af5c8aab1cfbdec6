"""A real RabbitMQ for tests: Debian's `rabbitmq-server`, as its own node in a folder of its own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from services.certificates import made_certificate
from services.ports import free_port

START_S = 90.0
CONFIGURATION = "consumer_timeout = {timeout_ms}\nloopback_users = none\nload_definitions = {definitions}\n"
QUIET = "quiet"
"""A user who may do all but tell tools of what he does: Celery's exchange of events is closed to him. His password is his name, too."""
NOT_EVENTS = "^(?!celeryev)"
TLS = """
listeners.ssl.default = 127.0.0.1:{port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
"""
ADVANCED = "[{{rabbit, [{{channel_tick_interval, {tick_ms}}}]}}].\n"
"""Channels look at what is not acknowledged at each tick."""


class RabbitServer:
    """A broker on ports of its own, that nothing else on this machine talks to.

    Args:
        folder: for its data and logs; the user `rabbitmq` may go there.
        consumer_timeout_s: a message that is not acknowledged for so long costs its consumer the channel.
        with_tls: it speaks TLS too, on `tls_port`.

    Attributes:
        authority: file of the certificate of who vouches for it.
    """

    def __init__(self, folder: Path, consumer_timeout_s: float = 60.0, *, with_tls: bool = False) -> None:
        self._folder = folder
        self.port, self.tls_port, self._distribution = free_port(), free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        timeout_ms = int(1000 * consumer_timeout_s)
        definitions = folder / "definitions.json"
        definitions.write_text(json.dumps(_definitions()), encoding="utf-8")
        configuration = CONFIGURATION.format(timeout_ms=timeout_ms, definitions=definitions)
        if with_tls:
            made = made_certificate(folder)
            self.authority = made.authority
            files = {"authority": made.authority, "certificate": made.certificate, "key": made.key}
            configuration += TLS.format(port=self.tls_port, **files)
        (folder / "rabbitmq.conf").write_text(configuration, encoding="utf-8")
        (folder / "advanced.config").write_text(ADVANCED.format(tick_ms=min(timeout_ms, 60_000)), encoding="utf-8")
        (folder / "enabled_plugins").write_text("[].", encoding="utf-8")
        if os.geteuid() == 0:
            user = pwd.getpwnam("rabbitmq")
            for path in (folder, *folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.start()

    @property
    def url(self) -> str:
        return self.url_of("guest")

    def url_of(self, user: str) -> str:
        """As this user: ``guest``, or ``QUIET``."""
        return f"amqp://{user}:{user}@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it, and return when it answers."""
        import amqp

        name = f"runplane{self.port}@localhost"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
        }
        who: dict[str, str] = {"user": "rabbitmq", "group": "rabbitmq"} if os.geteuid() == 0 else {}
        with (self._folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
                env=env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **who,  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                with amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=2):
                    return
            except OSError:
                said = (self._folder / "out").read_text(encoding="utf-8", errors="replace")
                assert self._process.poll() is None, f"no RabbitMQ: {said[-2000:]}"
                assert time.monotonic() < deadline, f"RabbitMQ does not answer: {said[-2000:]}"
                time.sleep(0.1)

    def stop(self) -> None:
        """End it as a power cut would; what is durable stays."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _definitions() -> dict[str, object]:
    """Who may do what."""
    users = {"guest": ".*", QUIET: NOT_EVENTS}
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": user, "password": user, "tags": ""} for user in users],
        "permissions": [
            {"user": user, "vhost": "/", "configure": may, "write": may, "read": ".*"} for user, may in users.items()
        ],
    }


def is_installed() -> bool:
    return shutil.which("rabbitmq-server") is not None and Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()
