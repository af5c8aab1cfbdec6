"""Reading a log from the bucket, while it grows and afterwards; and removing the logs of a run."""

from __future__ import annotations

from ..compute_logs import Chunk, Stream
from .layout import Layout
from .objects import Objects
from .settings import S3Settings


class Reader:
    """Reads logs of one bucket."""

    def __init__(self, settings: S3Settings) -> None:
        self._folder = settings.folder
        self._objects = Objects(settings)

    def read(self, layout: Layout, stream: Stream, offset: int, max_bytes: int) -> Chunk:
        """See ``ComputeLogStore``.

        The whole log first: it is put before the mark, and the mark before the pieces go, so what was seen earlier never makes what
        is seen later wrong.
        """
        found = self._objects.get(layout.whole(stream), offset, max_bytes)
        if found is not None:
            data, size = found
            return Chunk(data, offset + len(data), offset + len(data) >= size)
        folder, name = layout.mark.rsplit("/", 1)
        there = self._objects.sizes(folder, name.removesuffix("complete"))
        if layout.whole(stream) in there:
            return Chunk(b"", offset, False)  # it came between the two looks
        end, data = 0, b""
        for path, size in there.items():
            begin = layout.offset_of(stream, path)
            if begin is None:
                continue
            end = max(end, begin + size)
            if begin <= offset < begin + size:
                data = (self._objects.get(path, offset - begin, max_bytes) or (b"", 0))[0]
        return Chunk(data, offset + len(data), layout.mark in there and offset + len(data) >= end)

    def delete(self, run_id: str) -> None:
        """Remove all logs of a run. Raises LogsUnavailableError."""
        self._objects.delete(list(self._objects.sizes(f"{self._folder}/{run_id}/compute_logs", "")))
