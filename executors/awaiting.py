"""Coroutines and asynchronous generators of user code, run to their end. ``asyncio`` is loaded for ops that are asynchronous only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any


def result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Its result, on a loop of its own. Raises what it raises."""
    return asyncio.run(coroutine)


def items_of(made: AsyncGenerator[Any, Any]) -> Iterator[Any]:
    """Its items as they come, one loop for all of them. Raises what it raises."""
    with asyncio.Runner() if hasattr(asyncio, "Runner") else _OldRunner() as runner:
        while True:
            try:
                item = runner.run(_next_of(made))
            except StopAsyncIteration:
                return
            yield item


async def _next_of(made: AsyncGenerator[Any, Any]) -> Any:
    return await made.__anext__()


class _OldRunner:
    """``asyncio.Runner`` for Python 3.10."""

    def __enter__(self) -> _OldRunner:
        self._loop = asyncio.new_event_loop()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)
