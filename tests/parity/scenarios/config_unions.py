"""A field of a config class that holds one of several classes: by its tag as key, as an object, as a default, in a resource."""

from typing import Literal

from dagster import Config, ConfigurableResource, RunConfig, job, op
from pydantic import Field


class Cat(Config):
    kind: Literal["cat"] = "cat"
    meows: int


class Dog(Config):
    kind: Literal["dog", "hound"] = "dog"
    barks: float = 0.5


class Home(Config):
    pet: Cat | Dog = Field(discriminator="kind")
    rooms: int = 1


class Street(Config):
    first: Home
    others: list[Home] = []
    named: dict[str, Home] = {}


class Zoo(ConfigurableResource):
    animal: Cat | Dog = Field(discriminator="kind")


class WithDefault(Config):
    pet: Cat | Dog = Field(default=Cat(meows=7), discriminator="kind")


def said(pet):
    return [type(pet).__name__, pet.kind, getattr(pet, "meows", None), getattr(pet, "barks", None)]


@op
def street(config: Street):
    homes = [config.first, *config.others, *config.named.values()]
    return [said(home.pet) for home in homes]


@op
def zoo(zoo: Zoo):
    return said(zoo.animal)


@op
def default(config: WithDefault):
    return said(config.pet)


@job
def streets():
    street()


@job(resource_defs={"zoo": Zoo.configure_at_launch()})
def zoos():
    zoo()


@job
def defaults():
    default()


def of(config):
    return lambda: streets.execute_in_process({"ops": {"street": {"config": config}}}).output_for_node("street")


def scenario():
    cat, dog = Home(pet=Cat(meows=1)), Home(pet=Dog(barks=2.5), rooms=3)
    objects = RunConfig(ops={"street": Street(first=cat, others=[dog])})
    return {
        "by key": of({"first": {"pet": {"cat": {"meows": 3}}}, "others": [{"pet": {"dog": {"barks": 1.5}}}]}),
        "two tags of one class": of({"first": {"pet": {"hound": {}}}}),
        "inside a mapping": of({"first": {"pet": {"dog": {}}}, "named": {"x": {"pet": {"cat": {"meows": 2}}}}}),
        "objects": streets.execute_in_process(objects).output_for_node("street"),
        "as run config": objects.to_config_dict()["ops"],
        "made by its key": said(Home(pet={"cat": {"meows": 4}}).pet),
        "unknown tag": of({"first": {"pet": {"cow": {}}}}),
        "two tags": of({"first": {"pet": {"dog": {}, "cat": {"meows": 1}}}}),
        "wrong inside": of({"first": {"pet": {"cat": {"meows": "x"}}}}),
        "missing": of({"first": {}}),
        "resource": zoos.execute_in_process(
            {"resources": {"zoo": {"config": {"animal": {"cat": {"meows": 6}}}}}}
        ).output_for_node("zoo"),
        "default": defaults.execute_in_process().output_for_node("default"),
        "in place of the default": defaults.execute_in_process(
            {"ops": {"default": {"config": {"pet": {"dog": {"barks": 9.5}}}}}}
        ).output_for_node("default"),
    }
