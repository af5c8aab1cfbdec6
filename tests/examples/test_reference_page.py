"""``docs/reference/names.md`` is what the docstrings say."""

import inspect

import runplane
from reference_page import PAGE, page


def test_the_page_says_what_the_docstrings_say():
    assert PAGE.read_text() == page(), "python tests/reference_page.py writes it"


def test_every_name_has_a_docstring():
    without = [
        name
        for name in runplane._LAZY
        if (inspect.isclass(value := getattr(runplane, name)) or inspect.isfunction(value)) and not value.__doc__
    ]

    assert without == []
