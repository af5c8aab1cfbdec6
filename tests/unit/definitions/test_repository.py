"""``@repository``: what a function gives, under a name."""

from __future__ import annotations

from typing import Any

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    RepositoryDefinition,
    asset,
    graph,
    in_process_executor,
    job,
    op,
    repository,
)
from runplane.errors import NotFoundError


@op
def one() -> int:
    return 1


@job
def plain() -> None:
    one()


@graph
def as_graph() -> None:
    one()


@asset
def table() -> int:
    return 2


def test_a_list_of_jobs_graphs_and_assets() -> None:
    @repository
    def everything() -> Any:
        """All there is."""
        return [plain, as_graph, table]

    assert isinstance(everything, RepositoryDefinition)
    assert (everything.name, everything.description) == ("everything", "All there is.")
    assert everything.job_names == ["plain", "as_graph"]
    assert [j.name for j in everything.get_all_jobs()] == ["plain", "as_graph"]
    assert everything.get_job("as_graph").execute_in_process().output_for_node("one") == 1
    assert everything.get_implicit_global_asset_job_def().execute_in_process().asset_value("table") == 2


def test_a_mapping_by_kind_whose_functions_make_them() -> None:
    @repository(name="named", description="of kinds", default_executor_def=in_process_executor)
    def of_kinds() -> Any:
        return {"jobs": {"plain": lambda: plain}}

    assert (of_kinds.name, of_kinds.description) == ("named", "of kinds")
    assert of_kinds.get_job("plain").executor_def is in_process_executor
    assert (of_kinds.has_job("plain"), of_kinds.has_job("other")) == (True, False)


def test_a_job_that_is_not_there_is_named_with_the_nearest() -> None:
    @repository
    def small() -> Any:
        return [plain]

    with pytest.raises(NotFoundError, match="Did you mean 'plain'"):
        small.get_job("plan")


def test_an_unknown_kind_and_what_is_no_job_are_refused() -> None:
    with pytest.raises(DagsterInvalidDefinitionError, match="resources"):

        @repository
        def of_resources() -> Any:
            return {"resources": {}}

    with pytest.raises(DagsterInvalidDefinitionError, match="no job"):

        @repository
        def of_ops() -> Any:
            return {"jobs": {"one": one}}
