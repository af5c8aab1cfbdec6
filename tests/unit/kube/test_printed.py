"""What looks like a secret in a pod's last words is masked."""

from __future__ import annotations

import time

import pytest

from runplane.kube.printed import MASK, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/x", f"postgresql://me:{MASK}@db:5432/x"),
        ("AWS_SECRET_ACCESS_KEY=abc/def more", f"AWS_SECRET_ACCESS_KEY={MASK} more"),
        ("{'password': 'hunter2', 'n': 1}", f"{{'password': '{MASK}', 'n': 1}}"),
        ("api-key: k-1", f"api-key: {MASK}"),
        ("ValueError: no such thing at http://host/path", "ValueError: no such thing at http://host/path"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize("part", ["x", "://", "a:", "secret", "token= ", "me:you@"])
def test_a_line_without_an_end_costs_no_more_than_its_length(part: str) -> None:
    text = part * (64_000 // len(part))
    before = time.process_time()

    without_secrets(text)

    assert time.process_time() - before < 5, "milliseconds, where it is not looked at again and again"
