"""Configurable resources: nested ones, values of the environment, what is done before and after, what runs decide."""

import os
from contextlib import contextmanager

from dagster import ConfigurableResource, EnvVar, InitResourceContext, job, op

HEARD = []


class Credentials(ConfigurableResource):
    user: str = "nobody"
    secret: str


class Client(ConfigurableResource):
    url: str
    credentials: Credentials
    retries: int = 3

    def setup_for_execution(self, context: InitResourceContext) -> None:
        HEARD.append(f"setup {self.credentials.user}")

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        HEARD.append("teardown")

    def ask(self) -> str:
        return f"{self.url} {self.credentials.secret} {self.retries}"


class Managed(ConfigurableResource):
    name: str

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext):
        HEARD.append(f"in {self.name}")
        yield self
        HEARD.append(f"out {self.name}")


@op
def asks(client: Client, managed: Managed):
    return [client.ask(), managed.name]


@op
def fails(managed: Managed):
    raise ValueError("after it was made")


@job(
    resource_defs={
        "client": Client(
            url="u", credentials=Credentials(secret=EnvVar("SCENARIO_SECRET")), retries=EnvVar.int("SCENARIO_RETRIES")
        ),
        "managed": Managed.configure_at_launch(name="usual"),
    }
)
def asked():
    asks()


@job(resource_defs={"managed": Managed(name="m")})
def failed():
    fails()


def scenario():
    os.environ |= {"SCENARIO_SECRET": "s3", "SCENARIO_RETRIES": "7"}
    number = EnvVar.int("SCENARIO_RETRIES")
    result = asked.execute_in_process()
    heard = list(HEARD)
    HEARD.clear()
    other = asked.execute_in_process(run_config={"resources": {"managed": {"config": {"name": "given"}}}})
    HEARD.clear()
    broken = failed.execute_in_process(raise_on_error=False)
    del os.environ["SCENARIO_SECRET"]
    return {
        "variables": [
            number.get_value(),
            EnvVar("SCENARIO_RETRIES").get_value(),
            EnvVar.int("SCENARIO_NO").get_value(),
        ],
        "run": result,
        "value": result.output_for_node("asks"),
        "heard": sorted(heard),
        "given at launch": other.output_for_node("asks"),
        "broken": broken,
        "heard of the broken one": list(HEARD),
        "wrong config": lambda: asked.execute_in_process(
            run_config={"resources": {"managed": {"config": {"name": 3}}}}
        ),
        "no variable": lambda: asked.execute_in_process(),
        "outside": Managed(name="x").name,
        "no field": lambda: Managed(nome="x"),
    }
