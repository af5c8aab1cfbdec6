"""Durations as Dagster's messages write them."""

from __future__ import annotations


def in_words(milliseconds: float) -> str:
    """``3.21ms``, ``114ms``, ``1.2s``, ``2m5s``, ``1h2m``."""
    if milliseconds < 10:
        return f"{round(milliseconds, 2)}ms"
    if milliseconds < 1000:
        return f"{int(milliseconds)}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{round(seconds, 2)}s"
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}m{seconds}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60}m"
