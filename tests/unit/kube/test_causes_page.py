"""``docs/reference/causes.md`` shows the table as it is."""

from __future__ import annotations

from causes_page import PAGE, printed


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == printed(), "python tests/causes_page.py writes it anew"
