"""Connection strings: read by libpq, and taken apart where libpq leaves it to its callers.

Who polls for a connection has to keep ``connect_timeout``, and so to try hosts and addresses one after the other.

Source: https://www.postgresql.org/docs/current/libpq-connect.html
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
from collections.abc import Mapping

from ...errors import RunplaneError
from .failures import ConnectionFailedError
from .library import library

_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
SHORTEST_TIMEOUT_S = 2
"""As libpq has it: who asks for less gets this."""


def parsed(conninfo: str) -> dict[str, str]:
    """The parameters that a connection string or URL names.

    Raises:
        RunplaneError: it is neither.
    """
    lib = library()
    message = ctypes.c_void_p()
    options = lib.conninfo_parse(conninfo.encode(), ctypes.byref(message))
    if not options:
        text = ctypes.string_at(message).decode(errors="replace").strip() if message else "out of memory"
        lib.freemem(message)
        raise RunplaneError(
            f"the connection string of Postgres can not be read: {_without_values(text)}",
            hint="In a URL, `: / @ # ? %` in user and password have to be percent-encoded.",
        )
    found: dict[str, str] = {}
    for option in options:
        if option.keyword is None:
            break
        if option.val is not None:
            found[option.keyword.decode()] = option.val.decode()
    lib.conninfo_free(options)
    return found


def _without_values(text: str) -> str:
    """What libpq quotes may be a part of the password, but for names of parameters."""
    return text if "parameter" in text or "option" in text else text.split('"')[0].strip()


def value_of(params: Mapping[str, str], name: str) -> str | None:
    """A parameter, or what the environment says in its place."""
    return params.get(name) or os.environ.get(_VARIABLES[name]) or None


def timeout_of(params: Mapping[str, str], default_s: int) -> int:
    """Seconds that one attempt may take.

    Raises:
        ConnectionFailedError: `connect_timeout` is no number.
    """
    given = value_of(params, "connect_timeout")
    try:
        seconds = int(float(given)) if given is not None else default_s
    except ValueError:
        raise ConnectionFailedError(f"connect_timeout is a number of seconds (got {given!r})") from None
    return max(seconds, SHORTEST_TIMEOUT_S) if seconds > 0 else default_s


def attempts(params: Mapping[str, str]) -> list[dict[str, str]]:
    """The same parameters once for each address that may be tried, in the order in which they are.

    Raises:
        ConnectionFailedError: hosts and ports do not match, or no host has an address.
    """
    if params.get("service") or os.environ.get("PGSERVICE"):
        return [dict(params)]  # what a service file says comes before the environment; libpq knows both
    made: list[dict[str, str]] = []
    unknown: list[str] = []
    for attempt in _hosts(params):
        try:
            made += _addresses(attempt)
        except OSError as e:
            unknown.append(f"the host {attempt['host']!r} has no address: {e}")
    if not made:
        raise ConnectionFailedError("; ".join(unknown))
    if value_of(params, "load_balance_hosts") == "random":
        random.shuffle(made)
    if value_of(params, "target_session_attrs") == "prefer-standby":
        # libpq would look at all hosts twice; it sees one of them at a time here.
        standby = [{**attempt, "target_session_attrs": "standby"} for attempt in made]
        return standby + [{**attempt, "target_session_attrs": "any"} for attempt in made]
    return made


def _hosts(params: Mapping[str, str]) -> list[dict[str, str]]:
    lists = {name: (value_of(params, name) or "").split(",") for name in ("host", "hostaddr", "port")}
    count = max(len(lists["host"]), len(lists["hostaddr"]))
    for name, values in lists.items():
        if len(values) == 1:
            lists[name] = values * count
        elif len(values) != count:
            raise ConnectionFailedError(f"{len(values)} values of {name!r} do not match {count} hosts")
    kept = {name: value for name, value in params.items() if name not in lists}
    return [{**kept, **{name: values[i] for name, values in lists.items() if values[i]}} for i in range(count)]


def _addresses(attempt: dict[str, str]) -> list[dict[str, str]]:
    host = attempt.get("host", "")
    if not host or host.startswith(("/", "@")) or "hostaddr" in attempt:
        return [attempt]
    # As bytes: text would be encoded by IDNA, which is loaded for that.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP, type=socket.SOCK_STREAM)
    return [{**attempt, "hostaddr": str(address[0])} for *_, address in found]
