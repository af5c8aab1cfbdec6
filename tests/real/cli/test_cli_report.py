"""``run report``: the page of a real run, in a real browser."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest

from services.browser import Browser

SHOP = """
import sys, time
from runplane import DynamicOut, DynamicOutput, Out, Output, in_process_executor, job, op

@op
def orders_of_yesterday():
    print("fetching \\x1b[32morders\\x1b[0m")
    time.sleep(0.05)
    return 6

@op(out=DynamicOut())
def by_country(n):
    for name in ("de", "fr", "it", "es"):
        yield DynamicOutput(n, mapping_key=name)

@op
def price(context, n):
    sys.stderr.write("pricing\\n")
    if context.get_mapping_key() == "it" and not __import__("os").path.exists("mended"):
        raise ValueError("no rate for <b>ITL</b>")
    return n

@op
def total(prices):
    return sum(prices)

@op(out={"yes": Out(is_required=False), "no": Out(is_required=False)})
def is_it_the_end_of_the_month():
    yield Output(1, "no", metadata={"docs": "https://example.org/calendar", "rows": 5})

@op
def close_books(flag, total):
    return 1

@job(executor_def=in_process_executor, tags={"team": "shop"})
def nightly():
    t = total(by_country(orders_of_yesterday()).map(price).collect())
    yes, _ = is_it_the_end_of_the_month()
    close_books(yes, t)
"""


RUN_ID = "6b1f0000-0000-4000-8000-0000000000aa"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home in it, where the job was run once, for every test of this file that only looks."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "home").mkdir()
    (folder / "shop.py").write_text(SHOP)
    command = [sys.executable, "-m", "runplane", "job", "execute", "-f", "shop.py", "--run-id", RUN_ID]
    env = {**os.environ, "DAGSTER_HOME": str(folder / "home")}
    done = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return folder


@pytest.fixture
def run_id(shop: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DAGSTER_HOME", str(shop / "home"))
    return RUN_ID


@pytest.fixture
def page(run_id: str, runplane) -> Path:
    done = runplane("run", "report", run_id[:8], "-o", "report.html")
    assert (done.exit_code, done.stdout) == (0, "report.html\n"), done.stderr
    return Path("report.html").absolute()


def test_a_browser_shows_all_of_it(page: Path, browser: Browser) -> None:
    dom = browser.dom(page)

    for text in (
        "Step price[it]: ValueError: no rate for &lt;b&gt;ITL&lt;/b&gt;",
        "fetching orders\n",
        "pricing\n",
        "https://example.org/calendar",
        "1 failed, 3 succeeded",
        "python_file",
        "RUN_FAILURE",
    ):
        assert text in dom, text
    assert 'id="filter-line" hidden' not in dom, "the page's own script ran: its policy lets it"


def test_it_is_whole_without_a_script(page: Path, browser: Browser) -> None:
    bare = page.with_name("bare.html")
    bare.write_text(re.sub("<script>.*?</script>", "", page.read_text(), flags=re.DOTALL))

    dom = browser.dom(bare)

    assert 'id="filter-line" hidden' in dom
    assert "Step price[it]: ValueError" in dom
    assert "RUN_FAILURE" in dom


def test_it_asks_for_nothing_even_without_its_policy(page: Path, browser: Browser) -> None:
    found = browser.look(page, "return performance.getEntriesByType('resource').map((e) => e.name);", (1280, 900))

    assert found == []


@pytest.mark.parametrize("size", [(1280, 900), (420, 800)], ids=["wide", "narrow"])
def test_nothing_sticks_out(page: Path, browser: Browser, size: tuple[int, int]) -> None:
    found = browser.look(
        page,
        """
        const out = [];
        for (const g of document.querySelectorAll("g.node")) {
          const box = g.querySelector("rect.box").getBoundingClientRect();
          for (const text of g.querySelectorAll("text")) {
            const t = text.getBoundingClientRect();
            if (t.left < box.left - 1 || t.right > box.right + 1) out.push(text.textContent);
          }
        }
        return {page: document.documentElement.scrollWidth, window: innerWidth, out};
        """,
        size,
    )

    assert found["page"] <= found["window"], "no scrolling to the side"
    assert found["out"] == [], "labels that leave their box"


def test_the_filter_and_the_buttons_work(page: Path, browser: Browser) -> None:
    found = browser.look(
        page,
        """
        const box = document.getElementById("filter");
        box.value = "step_success TOTAL"; box.dispatchEvent(new Event("input"));
        const none = document.querySelectorAll("#event-rows tr:not([hidden])").length;
        box.value = "step_success price[de]"; box.dispatchEvent(new Event("input"));
        const one = document.querySelectorAll("#event-rows tr:not([hidden])").length;
        const said = document.getElementById("filter-count").textContent;
        document.querySelector("button[data-fold=logs]").click();
        const open = Array.from(document.querySelectorAll("#logs details")).every((d) => d.open);
        return {none, one, said, open};
        """,
        (1280, 900),
    )

    assert (found["none"], found["one"], found["open"]) == (0, 1, True)
    assert found["said"].startswith("1 of ")


@pytest.mark.parametrize(("dark", "ground"), [(False, (255, 255, 255)), (True, (13, 17, 23))], ids=["light", "dark"])
def test_it_is_drawn_in_light_and_dark(
    page: Path, browser: Browser, tmp_path: Path, dark: bool, ground: tuple[int, int, int]
) -> None:
    picture = tmp_path / "picture.png"
    browser.screenshot(page, picture, (1000, 1000), dark=dark)

    seen = pixels(picture)

    assert seen.most_common(1)[0][0] == ground
    good, bad = ((17, 99, 41), (164, 14, 38)) if not dark else ((86, 211, 100), (255, 142, 134))
    assert seen[good] > 1000, "what succeeded is drawn"
    assert seen[bad] > 200, "what failed is drawn"


def test_related_runs_are_linked_where_their_pages_lie(page: Path, run_id: str, runplane, as_process) -> None:
    page.rename(page.with_name(f"{run_id}.html"))
    again = as_process("run", "retry", run_id, "--follow").stdout.split()[0]

    done = runplane("run", "report", again, "-o", f"{again}.html")
    text = Path(f"{again}.html").read_text()

    assert done.exit_code == 0
    assert f'<a href="{run_id}.html"><code>{run_id}</code></a>' in text
    assert "the run that this one repeats" in text


def test_a_page_that_can_not_be_written(run_id: str, runplane) -> None:
    done = runplane("run", "report", run_id, "-o", "not/there.html")

    assert done.exit_code == 2
    assert "No such file or directory" in done.stderr


def pixels(picture: Path) -> Counter[tuple[int, int, int]]:
    """How often each colour is in a PNG of 8 bits a channel. Source: https://www.w3.org/TR/png-3/ (filters: section 9)"""
    data, at, packed = picture.read_bytes(), 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    assert depth == 8
    step = {2: 3, 6: 4}[colour]
    raw, before = zlib.decompress(packed), bytearray(width * step)
    seen: Counter[tuple[int, int, int]] = Counter()
    for y in range(height):
        start = y * (width * step + 1)
        line = bytearray(raw[start + 1 : start + 1 + width * step])
        unfilter(raw[start], line, before, step)
        seen.update(zip(line[0::step], line[1::step], line[2::step], strict=True))
        before = line
    return seen


def unfilter(kind: int, line: bytearray, before: bytearray, step: int) -> None:
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        up, corner = before[i], before[i - step] if i >= step else 0
        if kind == 4:
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
            line[i] = (line[i] + nearest[2]) & 255
        else:
            line[i] = (line[i] + (0, left, up, (left + up) // 2)[kind]) & 255
