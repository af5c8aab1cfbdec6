"""Names of assets and of their checks: what stored runs and events call them.

Source: https://docs.dagster.io/api/dagster/assets (AssetKey).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Union

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_SLASH, _ESCAPED = "/", r"\/"


class AssetKey:
    """The name of an asset: one or more parts, written ``a/b``. Equal keys are one asset, in every run and code location.

    Args:
        path: the parts, or one part as text (``"a/b"`` is *one* part with a slash in it; see ``from_user_string``).

    Raises:
        ValueError: no part, or a part that is no text.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | Sequence[str]) -> None:
        parts = [path] if isinstance(path, str) else list(path)
        if not parts or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"An asset key is one or more texts, got {path!r}.")
        self.path = tuple(parts)

    @staticmethod
    def from_user_string(text: str) -> AssetKey:
        """The key that is written ``a/b``; a slash inside a part is written ``\\/``."""
        held = text.replace(_ESCAPED, "\0")
        return AssetKey([part.replace("\0", _SLASH) for part in held.split(_SLASH)])

    @staticmethod
    def from_coercible(given: AssetKey | str | Sequence[str]) -> AssetKey:
        """The key that a user gave: a key, ``"a/b"``, or a list of parts."""
        if isinstance(given, AssetKey):
            return given
        return AssetKey.from_user_string(given) if isinstance(given, str) else AssetKey(given)

    @staticmethod
    def from_db_string(text: str | None) -> AssetKey | None:
        """The key of a stored JSON list; None for what is none."""
        if not text:
            return None
        try:
            path = json.loads(text)
        except ValueError:
            return None
        return AssetKey(path) if isinstance(path, list) and path else None

    @property
    def parts(self) -> Sequence[str]:
        """Its parts."""
        return self.path

    def to_string(self) -> str:
        """As Dagster stores it: a JSON list."""
        return json.dumps(list(self.path))

    def to_user_string(self) -> str:
        """``a/b``."""
        return _SLASH.join(self.path)

    def to_escaped_user_string(self) -> str:
        """``a/b``, a slash inside a part written ``\\/``: what ``from_user_string`` reads back."""
        return _SLASH.join(part.replace(_SLASH, _ESCAPED) for part in self.path)

    def to_python_identifier(self, suffix: str | None = None) -> str:
        """``a__b``: the name of its op, of its step, and of its output among several."""
        name = "__".join(_NOT_IN_NAMES.sub("_", part) for part in self.path)
        return name if suffix is None else f"{name}__{suffix}"

    def with_prefix(self, prefix: str | Sequence[str]) -> AssetKey:
        """The key with parts before its own."""
        return AssetKey([*([prefix] if isinstance(prefix, str) else prefix), *self.path])

    def has_prefix(self, prefix: Sequence[str]) -> bool:
        """Whether it begins with these parts."""
        return self.path[: len(prefix)] == tuple(prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetKey) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __lt__(self, other: AssetKey) -> bool:
        return self.path < other.path

    def __repr__(self) -> str:
        return f"AssetKey({list(self.path)!r})"


CoercibleToAssetKey = Union[AssetKey, str, "Sequence[str]"]


class AssetCheckKey(NamedTuple):
    """The name of a check of an asset: written ``a/b:check``."""

    asset_key: AssetKey
    name: str

    @staticmethod
    def from_user_string(text: str) -> AssetCheckKey:
        """The reverse of ``to_user_string``."""
        asset, _, name = text.rpartition(":")
        return AssetCheckKey(AssetKey.from_user_string(asset), name)

    def to_user_string(self) -> str:
        """``a/b:check``."""
        return f"{self.asset_key.to_escaped_user_string()}:{self.name}"

    def to_python_identifier(self) -> str:
        """``a__b_check``: the name of its output."""
        return f"{self.asset_key.to_python_identifier()}_{self.name}"


def texts(keys: Iterable[AssetKey]) -> tuple[str, ...]:
    """Keys as runs and plans hold them, sorted."""
    return tuple(sorted(key.to_escaped_user_string() for key in keys))


def check_texts(keys: Iterable[AssetCheckKey]) -> tuple[str, ...]:
    """Check keys as runs and plans hold them, sorted."""
    return tuple(sorted(key.to_user_string() for key in keys))


def stored_key(text: str) -> dict[str, Any]:
    """Dagster's form of a key in a document."""
    return {"__class__": "AssetKey", "path": list(AssetKey.from_user_string(text).path)}


def key_of_stored(tree: Mapping[str, Any]) -> str:
    """The reverse of ``stored_key``. Raises KeyError, TypeError, ValueError for what is none."""
    return AssetKey(tree["path"]).to_escaped_user_string()
