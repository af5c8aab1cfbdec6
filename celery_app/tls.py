"""TLS to a broker: the server's certificate is checked, unless somebody says otherwise in ``broker_use_ssl``."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigErrors, Problem
from .settings import TLS_PATH, certificate_check

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ca_certs", "certfile", "keyfile")
_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def checked_tls(broker: str, given: object, *, is_redis: bool) -> dict[str, Any]:
    """What the broker's library is given: a further authority, or a certificate of ours, does not end the check.

    Raises:
        ConfigErrors: a file is not there.
    """
    asked = {k: v for k, v in given.items() if v is not None} if isinstance(given, Mapping) else {}
    missing = [name for name in _FILES if name in asked and not Path(str(asked[name])).is_file()]
    if missing:
        problems = [Problem(f"{TLS_PATH}.{name}", "there is no such file here", str(asked[name])) for name in missing]
        raise ConfigErrors(problems, where="the broker's TLS")
    name = "ssl_cert_reqs" if is_redis else "cert_reqs"
    required = _MODES[certificate_check(asked.pop(name, "required")) or "required"]
    if is_redis:
        return {"ssl_check_hostname": required is not ssl.CERT_NONE, **asked, name: required}
    # Without a name no name would be checked. Only the first of several hosts has one here.
    host = urlsplit(broker.split(";")[0]).hostname
    if required is ssl.CERT_NONE:
        return {**asked, name: required}
    return {"ca_certs": ssl.get_default_verify_paths().cafile, "server_hostname": host, **asked, name: required}
