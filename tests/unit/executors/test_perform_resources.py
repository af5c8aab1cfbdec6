"""Resources, IO managers and loggers in the steps that use them."""

import logging
import os
import pickle
from dataclasses import fields

import pytest
from steps import perform, perform_one

from runplane import (
    Config,
    ConfigurableIOManager,
    ConfigurableResource,
    DagsterInvalidConfigError,
    EnvVar,
    In,
    IOManager,
    Out,
    ResourceParam,
    RetryPolicy,
    RunConfig,
    in_process_executor,
    io_manager,
    job,
    mem_io_manager,
    op,
    resource,
)
from runplane.errors import RunplaneError
from runplane.executors.log_settings import LogSettings
from runplane.plan.compile import compile_plan


def _job(fn, resources, **options):
    step = op(**options)(fn)
    return job(name="alone", resource_defs=resources)(lambda: step() and None)


def test_resources_open_in_order_of_need_and_close_in_reverse(tmp_path):
    told = []

    @resource(required_resource_keys={"base"}, config_schema={"n": int})
    def client(context):
        told.append(("open client", context.resources.base, context.resource_config["n"]))
        yield "client"
        told.append("close client")

    @resource
    def base():
        told.append("open base")
        yield "base"
        told.append("close base")

    def uses(context):
        told.append(("use", context.resources.client))

    done = perform_one(
        _job(uses, {"client": client, "base": base}, required_resource_keys={"client"}, out=Out(type(None))),
        tmp_path,
        {"resources": {"client": {"config": {"n": 3}}}},
    )
    assert told == ["open base", ("open client", "base", 3), ("use", "client"), "close client", "close base"]
    assert done.one("RESOURCE_INIT_STARTED")["message"] == "Starting initialization of resources [base, client]."


def test_a_resource_that_fails_fails_the_step_before_it_starts(tmp_path):
    @resource
    def broken():
        raise ValueError("no route")

    def never():
        raise AssertionError

    done = perform_one(_job(never, {"broken": broken}, required_resource_keys={"broken"}), tmp_path)
    assert done.kinds() == ["RESOURCE_INIT_STARTED", "RESOURCE_INIT_FAILURE", "STEP_FAILURE"]
    assert done.one("RESOURCE_INIT_FAILURE")["error"]["message"] == "ValueError: no route\n"
    failure = done.one("STEP_FAILURE")
    assert failure["cause"] == "FRAMEWORK"
    assert failure["error"]["cls_name"] == "DagsterResourceFunctionError"
    assert failure["error"]["cause"]["message"] == "ValueError: no route\n"


def test_a_policy_covers_resources_too(tmp_path):
    @resource
    def broken():
        raise ValueError("no route")

    step = _job(lambda: 1, {"broken": broken}, name="s", required_resource_keys={"broken"}, retry_policy=RetryPolicy())
    assert perform_one(step, tmp_path).kinds()[-1] == "STEP_UP_FOR_RETRY"


def test_a_resource_that_fails_to_close_changes_no_outcome(tmp_path):
    @resource
    def sticky():
        yield 1
        raise ValueError("still open")

    done = perform_one(_job(lambda: None, {"r": sticky}, name="s", required_resource_keys={"r"}), tmp_path)
    assert done.kinds()[-2:] == ["STEP_SUCCESS", "ENGINE_EVENT"]
    assert "Teardown of resources" in done.one("ENGINE_EVENT")["message"]


def test_a_shared_scope_opens_once_for_all_steps(tmp_path):
    opened = []

    @resource
    def counted():
        opened.append(1)
        return 1

    @op(required_resource_keys={"counted"})
    def step(x):
        return x

    @job(resource_defs={"counted": counted, "io_manager": mem_io_manager}, executor_def=in_process_executor)
    def line():
        step.alias("c")(step.alias("b")(step.alias("a")(x=_start())))

    done = perform(line, tmp_path, scope=True)
    assert opened == [1]
    assert [k for k in done.kinds() if k == "STEP_SUCCESS"] == ["STEP_SUCCESS"] * 4


@op
def _start():
    return 1


class Database(ConfigurableResource):
    url: str
    retries: int = 3

    def setup_for_execution(self, context):
        _told.append(f"setup {self.url} {self.retries}")

    def teardown_after_execution(self, context):
        _told.append("teardown")


class Client(ConfigurableResource):
    database: Database
    name: str


_told = []


@pytest.fixture(autouse=True)
def _fresh():
    _told.clear()


def test_a_configurable_resource_is_a_parameter(tmp_path):
    def uses(database: Database):
        _told.append(database.url)

    alone = _job(uses, {"database": Database(url="a")})
    assert perform_one(alone, tmp_path).kinds()[-1] == "STEP_SUCCESS"
    assert _told == ["setup a 3", "a", "teardown"]
    perform_one(alone, tmp_path, {"resources": {"database": {"config": {"retries": 5}}}})
    assert _told[3] == "setup a 5"


def test_a_resource_configured_at_launch_needs_run_config(tmp_path):
    def uses(database: Database):
        return database.url

    alone = _job(uses, {"database": Database.configure_at_launch()})
    with pytest.raises(DagsterInvalidConfigError, match=r"resources\.database\.config"):
        compile_plan(alone, {})
    done = perform_one(alone, tmp_path, {"resources": {"database": {"config": {"url": "b"}}}})
    assert done.kinds()[-1] == "STEP_SUCCESS"


def test_resources_in_resources_are_open(tmp_path):
    def uses(client: Client):
        _told.append((client.name, client.database.url))

    perform_one(_job(uses, {"client": Client(database=Database(url="deep"), name="c")}), tmp_path)
    assert _told == ["setup deep 3", ("c", "deep"), "teardown"]


def test_variables_are_read_when_the_resource_is_opened(tmp_path, monkeypatch):
    def uses(database: Database):
        _told.append(database.url)

    monkeypatch.delenv("MY_URL", raising=False)
    alone = _job(uses, {"database": Database(url=EnvVar("MY_URL"))})
    plan = compile_plan(alone)
    assert "MY_URL" not in str(plan)
    monkeypatch.setenv("MY_URL", "secret://x")
    done = perform_one(alone, tmp_path)
    assert _told == ["setup secret://x 3", "secret://x", "teardown"]
    assert "secret://x" not in str(done.events)
    monkeypatch.delenv("MY_URL")
    failed = perform_one(alone, tmp_path)
    assert "MY_URL is not set" in failed.one("STEP_FAILURE")["error"]["message"]


def test_any_object_is_a_resource(tmp_path):
    def uses(thing: ResourceParam[object]):
        _told.append(thing)

    perform_one(_job(uses, {"thing": 42}), tmp_path)
    assert _told == [42]


def test_config_of_an_op_as_a_class(tmp_path):
    class Mine(Config):
        n: int
        names: list[str] = []

    def uses(config: Mine):
        _told.append(config)

    perform_one(_job(uses, {}, name="uses"), tmp_path, {"ops": {"uses": {"config": {"n": 3}}}})
    assert _told == [Mine(n=3)]


class Shelf(IOManager):
    def __init__(self):
        self.kept = {}

    def handle_output(self, context, obj):
        context.add_output_metadata({"length": len(str(obj))})
        self.kept[tuple(context.get_identifier())] = obj

    def load_input(self, context):
        context.log.info(f"{context.name} from {context.upstream_output.step_key}")
        return self.kept[tuple(context.get_identifier())]


def test_a_users_io_manager(tmp_path):
    shelf = Shelf()

    @io_manager(config_schema={"x": int})
    def shelves(context):
        assert context.resource_config == {"x": 1}
        return shelf

    @op(out=Out(io_manager_key="shelf"))
    def first():
        return "abc"

    @op
    def second(x):
        _told.append(x)

    @job(resource_defs={"shelf": shelves})
    def both():
        second(first())

    done = perform(both, tmp_path, {"resources": {"shelf": {"config": {"x": 1}}}})
    assert _told == ["abc"]
    assert done.one("HANDLED_OUTPUT", "first")["metadata"] == {"length": 3}
    assert done.one("STEP_OUTPUT", "first")["location"] == {"io_manager": "shelf"}
    assert done.one("LOADED_INPUT")["manager_key"] == "shelf"


class Folder(ConfigurableIOManager):
    prefix: str

    def handle_output(self, context, obj):
        _told.append((self.prefix, obj))

    def load_input(self, context):
        return None


def test_a_configurable_io_manager(tmp_path):
    perform_one(_job(lambda: 5, {"io_manager": Folder(prefix="p")}, name="s"), tmp_path)
    assert _told == [("p", 5)]


def test_what_an_io_manager_raises_is_an_error_of_handling(tmp_path):
    class Broken(Folder):
        def handle_output(self, context, obj):
            raise OSError("disk full")

    done = perform_one(_job(lambda: 5, {"io_manager": Broken(prefix="p")}, name="s"), tmp_path)
    error = done.one("STEP_FAILURE")["error"]
    assert error["cls_name"] == "DagsterExecutionHandleOutputError"
    assert 'Error occurred while handling output "result" of step "s":' in error["message"]
    assert error["cause"]["message"] == "OSError: disk full\n"
    assert "STEP_OUTPUT" not in done.kinds()


def test_the_default_io_manager_can_be_named_by_environment(tmp_path, monkeypatch):
    (tmp_path / "my_default_io.py").write_text(
        "from runplane import InMemoryIOManager, io_manager\n@io_manager\ndef made():\n    return InMemoryIOManager()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_DEFAULT_IO_MANAGER_MODULE", "my_default_io")
    monkeypatch.setenv("DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE", "made")
    perform_one(_job(lambda: 5, {}, name="s"), tmp_path)
    assert not os.path.exists(tmp_path / "storage")


def test_managed_loggers_become_events_and_are_left_as_they_were(tmp_path, capsys):
    def talks(context):
        logging.getLogger("my.library").info("from a library")
        context.log.debug("from the op")

    before = logging.getLogger("my.library").level
    done = perform_one(_job(talks, {}, name="talks"), tmp_path, log_settings=LogSettings(("my.library",)))
    assert [(e.body["logger"], e.body["message"]) for e in done.events if e.kind == "LOG"] == [
        ("my.library", "from a library"),
        ("dagster", "from the op"),
    ]
    assert " - dagster - DEBUG - alone - " in capsys.readouterr().err
    assert logging.getLogger("my.library").level == before
    assert logging.getLogger("my.library").handlers == []


def test_the_level_of_the_instance_is_over_that_of_the_run(tmp_path):
    def talks(context):
        context.log.info("low")
        logging.getLogger("my.library").info("low, from a library")
        context.log.warning("high")

    done = perform_one(
        _job(talks, {}, name="talks"), tmp_path, log_settings=LogSettings(("my.library",), logging.WARNING)
    )
    assert [e.body["message"] for e in done.events if e.kind == "LOG"] == ["high"]


def test_further_handlers_hear_the_run_and_the_named_loggers(tmp_path):
    def talks(context):
        context.log.info("from the op")
        logging.getLogger("my.library").warning("from a library")

    file = tmp_path / "lines.txt"
    settings = LogSettings(
        ("my.library",),
        handlers={
            "late": {"class": "logging.handlers.MemoryHandler", "capacity": 100, "target": "to_file"},
            "to_file": {"class": "logging.FileHandler", "filename": str(file), "formatter": "f", "filters": ["mine"]},
        },
        formatters={"f": {"format": "%(levelname)s %(message)s %(dagster_meta)s"}},
        filters={"mine": {"()": f"{__name__}.OfAStep"}},
    )
    perform_one(_job(talks, {}, name="talks"), tmp_path, log_settings=settings)
    lines = file.read_text().splitlines()
    settings.close()
    # Once by itself, once by the handler that holds lines back: it is flushed when the step is over.
    assert [line.split(" {")[0] for line in lines] == ["INFO from the op", "WARNING from a library"] * 2
    assert "'step_key': 'talks', 'attempt': 1" in lines[0]
    assert logging.getLogger("my.library").handlers == []


class OfAStep(logging.Filter):
    def filter(self, record):
        return bool(record.dagster_meta["step_key"])


def test_handlers_do_not_travel_and_the_users_own_stay_open(tmp_path):
    own = logging.FileHandler(tmp_path / "own.txt")
    settings = LogSettings(handlers={"h": {"class": "logging.FileHandler", "filename": str(tmp_path / "h.txt")}})
    assert settings.made is settings.made
    assert own.stream is not None
    assert pickle.loads(pickle.dumps(settings)).__dict__.keys() == {f.name for f in fields(settings)}
    settings.close()
    own.close()


@pytest.mark.parametrize(
    ("described", "at", "said"),
    [
        ({"handlers": {"h": {"class": "no.such.Handler"}}}, "handlers.h", "no.such"),
        ({"handlers": {"h": {"class": "logging.NullHandler", "formatter": "f"}}}, "handlers.h", "'f'"),
        ({"handlers": {"h": {}}, "filters": {"f": {"()": "no.such.Filter"}}}, "filters.f", "no.such"),
    ],
)
def test_a_handler_that_can_not_be_made_is_named(described, at, said):
    with pytest.raises(RunplaneError, match=said) as raised:
        _ = LogSettings(**described).made
    assert raised.value.where == f"dagster.yaml: python_logs.dagster_handler_config.{at}"


def test_the_log_level_of_run_config_is_the_consoles(tmp_path, capsys):
    def talks(context):
        context.log.info("low")
        context.log.warning("high")

    config = {"loggers": {"console": {"config": {"log_level": "WARNING", "name": "shown"}}}}
    done = perform_one(_job(talks, {}, name="talks"), tmp_path, config)

    assert [e.body["message"] for e in done.events if e.kind == "LOG"] == ["low", "high"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" - ")[1:3] for line in lines] == [["shown", "WARNING"]]


def test_an_input_manager_loads_in_place_of_the_outputs(tmp_path):
    class Other(Shelf):
        def load_input(self, context):
            return f"other {context.upstream_output.name} of {context.upstream_output.step_key}"

    @op
    def first():
        return "abc"

    @op(ins={"x": In(input_manager_key="other")})
    def second(x):
        _told.append(x)

    @job(resource_defs={"other": Other()})
    def both():
        second(first())

    done = perform(both, tmp_path)
    assert _told == ["other result of first"]
    assert done.one("LOADED_INPUT")["manager_key"] == "other"


def test_run_config_objects_name_variables_and_not_their_content(monkeypatch):
    monkeypatch.setenv("MY_URL", "secret://x")
    plain = RunConfig(resources={"database": Database(url=EnvVar("MY_URL"), retries=4)}).to_config_dict()
    assert plain["resources"] == {"database": {"config": {"url": {"env": "MY_URL"}, "retries": 4}}}
    with pytest.raises(Exception, match="used as text"):
        f"{EnvVar('MY_URL')}"
    assert EnvVar("MY_URL").get_value() == "secret://x"
