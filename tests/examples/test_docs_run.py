"""Every page is read from its top to its end in one shell, as a reader would: what is shown is what happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs_pages import LANGUAGES, PAGES, ROOT, Block, Page, Shell, fits, name_of, read_page, steps_of

from runplane.instance.check import check_text

MOST_NOT_RUN = 8
"""Blocks that are shown and not run, over all pages."""
WITH_S3 = (ROOT / "docs" / "howto" / "logs-and-outputs-in-s3.md",)
WITH_POSTGRES = (ROOT / "docs" / "howto" / "run-on-postgres.md",)


def _runs(block: Block) -> bool:
    return "not-run" not in block.options and (
        block.language in ("console", "python", "yaml") or "title" in block.options
    )


RUN = [path for path in PAGES if ROOT / "examples" not in path.parents and any(map(_runs, read_page(path).blocks))]


@pytest.fixture
def surroundings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a page's text says that its reader has: a Postgres, a bucket."""
    page: Path = request.node.callspec.params["path"]
    if page in WITH_S3:
        server = request.getfixturevalue("s3_server")
        return {
            "BUCKET": request.getfixturevalue("s3_bucket"),
            "S3_ENDPOINT": server.endpoint,
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
        }
    if page not in WITH_POSTGRES:
        return {}
    url = urlsplit(request.getfixturevalue("postgres_url"))
    return {
        "PGHOST": unquote(url.hostname or "localhost"),
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": url.path.strip("/"),
    }


@pytest.fixture
def shell(tmp_path: Path, surroundings: dict[str, str]) -> Iterator[Shell]:
    folder = tmp_path / "reader"
    folder.mkdir()
    with Shell(folder, surroundings) as made:
        yield made


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_what_a_page_shows_is_what_happens(path: Path, shell: Shell) -> None:
    for block in read_page(path).blocks:
        if not _runs(block):
            continue
        if "title" in block.options:
            file = shell.folder / block.options["title"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "yaml":
            report = check_text(block.text, shell.folder, os.environ, where=block.where, allow_missing_env=True)
            assert report.errors == [], block.where
        elif block.language == "python":
            script = shell.folder / f"block_{block.line}.py"
            script.write_text(block.text, encoding="utf-8")
            code, lines = shell.run(f"python {script}")
            assert code == 0, f"{block.where}\n" + "\n".join(lines)
        else:
            _check_console(block, shell)


def _check_console(block: Block, shell: Shell) -> None:
    for command, shown in steps_of(block):
        code, printed = shell.run(command)
        story = f"{block.where}\n$ {command}\n" + "\n".join(printed) + "\n---- shown ----\n" + "\n".join(shown)
        assert code == 0, f"exit code {code}: {story}"
        assert fits(shown, printed), story


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    pages: list[Page] = [read_page(path) for path in PAGES]
    not_run = [block for page in pages for block in page.blocks if "not-run" in block.options]

    assert [b.where for b in not_run if len(b.options["not-run"].split()) < 2] == []
    assert len(not_run) <= MOST_NOT_RUN, [b.where for b in not_run]


def test_every_block_is_of_a_kind_that_is_known_here() -> None:
    unknown = [(b.where, b.language) for path in PAGES for b in read_page(path).blocks if b.language not in LANGUAGES]
    assert unknown == []


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        (["a ... c"], ["a b c"], True),
        (["a ... c"], ["a b d"], False),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "..."], ["a"], True),
        (["a"], ["a", "b"], False),
        ([], ["a"], False),
        (["..."], ["a", "b"], True),
        (["a (1)"], ["a (1)"], True),
        (["a", "...", "d"], ["a", "b d"], False),
        (["Run 4bad12cb took 1.2 s"], ["Run 0d8d1c0e took 12 ms"], True),
        (["Run 4bad12cb"], ["Run deadline"], False),
        (["exit code 1"], ["exit code 2"], False),
        (["  a  1 ms  2 ms  ··█"], ["  a 21 ms  22 ms"], True),
    ],
)
def test_the_comparison_can_fail(shown: list[str], printed: list[str], expected: bool) -> None:
    assert fits(shown, printed) is expected
