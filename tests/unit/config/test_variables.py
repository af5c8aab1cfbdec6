"""Numbers that are given by environment variables."""

from __future__ import annotations

import pytest

from runplane.config.variables import seconds_from
from runplane.errors import ConfigErrors


def test_a_variable_wins_over_the_default_when_it_says_something() -> None:
    assert seconds_from({"S": "0.5"}, "S", 30.0) == 0.5
    assert seconds_from({"S": ""}, "S", 30.0) == 30.0
    assert seconds_from({}, "S", 30.0) == 30.0


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-1", "1s"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigErrors, match="environment: 1 problem\n  S: can not be used .*expected a number of seconds"
    ):
        seconds_from({"S": text}, "S", 30.0, may_be_zero=True)


def test_zero_is_taken_only_where_it_has_a_meaning() -> None:
    assert seconds_from({"S": "0"}, "S", 30.0, may_be_zero=True) == 0
    with pytest.raises(ConfigErrors, match="above 0"):
        seconds_from({"S": "0"}, "S", 30.0)
