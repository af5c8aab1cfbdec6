"""The nearest known name."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name in `known` that `name` was probably meant to be, or None when nothing is close."""
    by_fold = {k.casefold(): k for k in sorted(known, reverse=True)}
    hits = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[hits[0]] if hits else None
