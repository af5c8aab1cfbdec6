"""The path of an op in the nested graphs of its job."""

from __future__ import annotations


class NodeHandle(str):
    """The path as text (``outer.inner``), which knows its parts."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The op's name in its graph."""
        return self.rpartition(".")[2]

    @property
    def parent(self) -> NodeHandle | None:
        """Path of the graph that it is in; None: the job's own."""
        outer = self.rpartition(".")[0]
        return NodeHandle(outer) if outer else None

    @property
    def root(self) -> NodeHandle:
        """The outermost graph or op of the path."""
        return NodeHandle(self.partition(".")[0])

    @property
    def path(self) -> list[str]:
        """The names from the outermost graph to the op."""
        return self.split(".")

    def to_string(self) -> str:
        """The path as plain text."""
        return ".".join(self.path)
