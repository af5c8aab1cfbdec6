"""A real browser, without a window: Debian's chromium, or Chrome."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ALWAYS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


def program() -> str | None:
    """The browser that is installed here, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """Opens pages.

    Args:
        path: the program.
        folder: for its profile and for pages that are made for a look; of the test.
    """

    def __init__(self, path: str, folder: Path) -> None:
        self._path = path
        self._folder = folder

    def dom(self, page: Path, *more: str) -> str:
        """The document as it stands after its scripts ran."""
        return self._run(page, "--dump-dom", *more)

    def screenshot(self, page: Path, to: Path, size: tuple[int, int], *, dark: bool = False) -> None:
        """A picture of the page, as a PNG file."""
        colours = ["--blink-settings=preferredColorScheme=0"] if dark else []
        self._run(page, f"--screenshot={to}", f"--window-size={size[0]},{size[1]}", *colours)

    def look(self, page: Path, script: str, size: tuple[int, int]) -> Any:
        """What a script finds in the page: `script` is the body of a function whose value is JSON.

        The page is copied without its policy, which forbids scripts that are not its own.
        """
        text = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
        probe = f"<script>document.title = JSON.stringify((() => {{ {script} }})())</script></body>"
        copy = self._folder / f"looked-at-{page.name}"
        copy.write_text(text.replace("</body>", probe), encoding="utf-8")
        dom = self.dom(copy, f"--window-size={size[0]},{size[1]}")
        found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
        assert found is not None, dom[:2000]
        return json.loads(unescape(found.group(1)))

    def _run(self, page: Path, *words: str) -> str:
        command: Sequence[str] = [
            self._path,
            *ALWAYS,
            f"--user-data-dir={self._folder / 'profile'}",
            *words,
            page.as_uri(),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
