"""Connection strings: what libpq reads in them, and which addresses are tried in which order."""

from __future__ import annotations

import ctypes.util
import socket
from collections.abc import Iterator

import pytest

from runplane.errors import RunplaneError, UnsupportedError
from runplane.storage.libpq import library
from runplane.storage.libpq.conninfo import attempts, parsed, timeout_of
from runplane.storage.libpq.failures import ConnectionFailedError


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that have addresses."""
    known = {"one": ["10.0.0.1"], "two": ["10.0.0.2", "fd00::2"], "zwölf": ["10.0.0.12"]}

    def look_up(name: str | bytes, *_: object, **__: object) -> list[tuple[object, ...]]:
        host = name if isinstance(name, str) else name.decode()
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(None, None, None, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in (
        "PGHOST",
        "PGPORT",
        "PGHOSTADDR",
        "PGCONNECT_TIMEOUT",
        "PGTARGETSESSIONATTRS",
        "PGLOADBALANCEHOSTS",
        "PGSERVICE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u%40x:p%2F@h:15/d%20b?sslmode=require",
        "host=h port=15 user=u@x password=p/ dbname='d b' sslmode=require",
    ],
)
def test_a_url_and_a_string_say_the_same(text: str) -> None:
    found = parsed(text)

    assert found == {"host": "h", "port": "15", "user": "u@x", "password": "p/", "dbname": "d b", "sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://u:secret%zz@h/db", "percent-encoded"),
        ("host=h secret", "can not be read"),
        ("postgresql://u:secret@h/db?sslmod=require", 'invalid URI query parameter: "sslmod"'),
    ],
)
def test_what_can_not_be_read_is_said_without_the_password(text: str, said: str) -> None:
    with pytest.raises(RunplaneError, match=said) as refused:
        parsed(text)
    assert "secret" not in str(refused.value)


def test_each_address_of_each_host_is_tried_with_its_own_port() -> None:
    tried = attempts({"host": "one,two", "port": "1,2", "dbname": "d"})

    assert [(a["host"], a["hostaddr"], a["port"], a["dbname"]) for a in tried] == [
        ("one", "10.0.0.1", "1", "d"),
        ("two", "10.0.0.2", "2", "d"),
        ("two", "fd00::2", "2", "d"),
    ]


def test_a_name_may_have_any_letter() -> None:
    assert [a["hostaddr"] for a in attempts({"host": "zwölf"})] == ["10.0.0.12"]


def test_one_port_is_for_all_hosts_and_none_is_left_to_libpq() -> None:
    assert [a["port"] for a in attempts({"host": "one,two", "port": "7"})] == ["7", "7", "7"]
    assert "port" not in attempts({"host": "one"})[0]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"host": "/run/postgresql"},
        {"host": "@abstract"},
        {"hostaddr": "10.9.9.9"},
        {"host": "x", "hostaddr": "10.9.9.9"},
    ],
)
def test_what_needs_no_name_is_not_looked_up(params: dict[str, str]) -> None:
    assert attempts(params) == [params]


def test_the_environment_names_hosts_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "one,two")
    monkeypatch.setenv("PGPORT", "1,2")

    assert [a["hostaddr"] for a in attempts({})] == ["10.0.0.1", "10.0.0.2", "fd00::2"]
    assert [a["hostaddr"] for a in attempts({"host": "two", "port": "5"})] == ["10.0.0.2", "fd00::2"]


def test_a_services_host_is_left_to_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "one")

    assert attempts({"service": "main"}) == [{"service": "main"}]
    monkeypatch.setenv("PGSERVICE", "main")
    assert attempts({"dbname": "d"}) == [{"dbname": "d"}]


def test_a_host_without_an_address_is_passed_over() -> None:
    assert [a["host"] for a in attempts({"host": "nowhere,one"})] == ["one"]


def test_no_host_with_an_address() -> None:
    with pytest.raises(ConnectionFailedError, match="'nowhere' has no address.*'lost' has no address"):
        attempts({"host": "nowhere,lost"})


def test_hosts_and_ports_that_do_not_match() -> None:
    with pytest.raises(ConnectionFailedError, match="2 values of 'port' do not match 3 hosts"):
        attempts({"host": "one,two,one", "port": "1,2"})


def test_a_standby_is_preferred_on_all_hosts_before_any_other_server_is_taken() -> None:
    tried = attempts({"host": "one,two", "target_session_attrs": "prefer-standby"})

    assert [a["target_session_attrs"] for a in tried] == ["standby"] * 3 + ["any"] * 3


def test_hosts_are_tried_in_any_order_when_load_is_balanced() -> None:
    orders = {
        tuple(a["hostaddr"] for a in attempts({"host": "one,two", "load_balance_hosts": "random"})) for _ in range(200)
    }

    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset({"10.0.0.1", "10.0.0.2", "fd00::2"})}


@pytest.mark.parametrize(("given", "seconds"), [(None, 10), ("0", 10), ("-1", 10), ("1", 2), ("3", 3), ("2.9", 2)])
def test_a_time_out_of_a_connection(given: str | None, seconds: int) -> None:
    assert timeout_of({} if given is None else {"connect_timeout": given}, 10) == seconds


def test_a_time_out_that_is_no_number() -> None:
    with pytest.raises(ConnectionFailedError, match="connect_timeout.*'soon'"):
        timeout_of({"connect_timeout": "soon"}, 10)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Where libpq is looked for, to be filled."""
    made: list[str] = []
    monkeypatch.setattr(library, "_places", lambda: iter(made))
    library.library.cache_clear()
    yield made
    library.library.cache_clear()


def test_without_libpq_it_is_said_how_to_get_it(places: list[str]) -> None:
    places.append("libpq-of-nobody.so")

    with pytest.raises(UnsupportedError, match=r"libpq-of-nobody\.so.*pip install 'runplane\[postgres\]'"):
        library.library()


def test_a_library_that_has_not_its_functions_is_passed_over(places: list[str]) -> None:
    places.append(str(ctypes.util.find_library("c")))

    with pytest.raises(UnsupportedError, match="PQlibVersion"):
        library.library()
