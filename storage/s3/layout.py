"""Where a log's pieces lie in the bucket.

Dagster's names, so that its web server and people who look into the bucket find what they know: with the log key ``(run id,
"compute_logs", letters)``

- ``<prefix>/storage/<run id>/compute_logs/<letters>.out``, ``.err``: the whole log, put there when it is complete;
- ``....out.partial``: its beginning, while it grows; once that is full, more pieces beside it: ``....out.partial.<offset>``. A piece
  is put again until it is full, then never again, so that a long log is not sent over and over;
- ``<letters>.complete``: nothing more will come. Put after the whole log, before the pieces are removed.

Source: https://docs.dagster.io/api/libraries/dagster-aws (S3ComputeLogManager).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...serdes.record import record
from ..compute_logs import Stream, file_name

PIECE_BYTES = 2 << 20
"""How much a piece holds. A growing log sends at most this much again at each interval."""
_OFFSET_DIGITS = 15


@record
class Layout:
    """Names of the objects of one log.

    Attributes:
        folder: prefix of all logs, slashes only between names; may be empty.
        log_key: the log.
    """

    folder: str
    log_key: tuple[str, ...]

    def whole(self, stream: Stream) -> str:
        """The complete log."""
        return self._path(stream)

    def piece(self, stream: Stream, offset: int) -> str:
        """The piece that begins at `offset`, a multiple of ``PIECE_BYTES``."""
        first = f"{self._path(stream)}.partial"
        return first if offset == 0 else f"{first}.{offset:0{_OFFSET_DIGITS}}"

    def offset_of(self, stream: Stream, path: str) -> int | None:
        """The offset at which a piece of `stream` begins; None for another object."""
        first = self.piece(stream, 0)
        if path == first:
            return 0
        offset = path.removeprefix(f"{first}.")
        return int(offset) if offset != path and offset.isdecimal() else None

    @property
    def mark(self) -> str:
        """The empty object that says that nothing more will come."""
        return self._path("complete")

    def _path(self, extension: str) -> str:
        *folders, name = self.log_key
        return "/".join([part for part in (self.folder, *folders) if part] + [file_name(name, extension)])


def logs_folder(prefix: str) -> str:
    """The folder of all logs below the `prefix` of a configuration."""
    return "/".join([*(part for part in prefix.split("/") if part), "storage"])


def as_layout(folder: str, log_key: Sequence[str]) -> Layout:
    """The layout of a log key below a folder."""
    return Layout(folder, tuple(log_key))
