"""What is said between coordinator, template and step processes: frames on socket pairs.

A frame is four bytes of length and a payload. What the coordinator says is pickled (its own objects, to its own children, of the
same version); what it is told is JSON, since user code runs at the other end. A frame that its writer did not live to finish is
never seen.
"""

from __future__ import annotations

import array
import base64
import json
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from ...engine.snapshot import StepPlan, StoredOutput
from ...errors import DocumentError
from ...events.event import NewEvent
from ...events.kinds import EventKind
from ...serdes.record import record
from ...storage.contract import AttemptRef

_LENGTH = struct.Struct("!I")
OUTCOMES = frozenset({EventKind.STEP_SUCCESS.value, EventKind.STEP_FAILURE.value, EventKind.STEP_UP_FOR_RETRY.value})
LONGEST_FRAME = 256 * 1024 * 1024
READ_BYTES = 256 * 1024
_MOST_FDS = 16


@record
class Hello:
    """The first thing a process is told.

    Attributes:
        argument: for the program's `load`.
        import_here: the template itself imports the user's code, so that the forked children have it.
        preload: modules that the template imports besides.
    """

    argument: Any
    import_here: bool = True
    preload: tuple[str, ...] = ()


class Order(Protocol):
    """What a step's process is told to do: ``Task``, or what else its program understands."""

    @property
    def ref(self) -> AttemptRef:
        """The attempt. Among those of one program's processes no two have the same."""


@record
class Task:
    """One attempt of one step, as its process is told: ``StepOrder`` without run and nonce.

    Attributes:
        step: its plan.
        ref: step key and attempt number.
        retry_number, retries_enabled, inputs: as in ``StepOrder``.
    """

    step: StepPlan
    ref: AttemptRef
    retry_number: int = 0
    retries_enabled: bool = True
    inputs: Mapping[str, Sequence[StoredOutput]] = field(default_factory=dict)


def ordered(name: str, *details: Any) -> bytes:
    """A frame from the coordinator."""
    return _frame(pickle.dumps((name, *details), protocol=4))


def told(name: str, *details: Any) -> bytes:
    """A frame to the coordinator. Raises TypeError for what JSON can not hold."""
    return _frame(json.dumps((name, *details), separators=(",", ":")).encode())


def told_event(event: NewEvent) -> bytes:
    """An event on its way to the coordinator."""
    return told("event", *event_details(event))


def event_details(event: NewEvent) -> tuple[Any, ...]:
    """An event as JSON can hold it."""
    value = None if event.value is None else base64.b64encode(event.value).decode()
    return (*event[:5], value)


def read_event(details: Sequence[Any]) -> NewEvent:
    """The reverse of ``event_details``."""
    kind, step, n, body, written_at, value = details
    return NewEvent(kind, step, n, body, written_at, None if value is None else base64.b64decode(value))


def read_ordered(payload: bytes) -> tuple[Any, ...]:
    """The reverse of ``ordered``, in a process that the coordinator started."""
    message: tuple[Any, ...] = pickle.loads(payload)  # noqa: S301 - from our own parent
    return message


def read_told(payload: bytes) -> list[Any]:
    """The reverse of ``told``.

    Raises:
        DocumentError: it is none of ours; user code wrote into the descriptor.
    """
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise DocumentError("a step's process sent what is no message", got=repr(payload[:80])) from error
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        raise DocumentError("a step's process sent what is no message", got=repr(payload[:80]))
    return message


class Frames:
    """Puts frames together from what arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads that are complete now.

        Raises:
            DocumentError: the length can not be right; user code wrote into the descriptor.
        """
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            if length > LONGEST_FRAME:
                raise DocumentError("a step's process sent what is no message", got=f"a length of {length} bytes")
            end = at + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[at + _LENGTH.size : end])
            at = end
        del self._buffer[:at]


class Receiver:
    """The blocking end of a template or a step's process: messages with the descriptors that travel beside them."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fds: deque[int] = deque()
        self._frames = Frames()
        self._ready: deque[bytes] = deque()

    def receive(self) -> tuple[Any, ...] | None:
        """The next message; None when the coordinator is gone."""
        while not self._ready:
            if not self.fill():
                return None
        return read_ordered(self._ready.popleft())

    def pending(self) -> bool:
        """Whether ``receive`` returns at once."""
        return bool(self._ready)

    def fill(self) -> bool:
        """Wait for more; False at the end."""
        data, fds, _, _ = socket.recv_fds(self.sock, READ_BYTES, _MOST_FDS)
        self.fds.extend(fds)
        self._ready.extend(self._frames.feed(data))
        return bool(data)


class Sender:
    """The coordinator's end: queues what does not fit, so that nobody who does not read can hold it up."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._waiting: deque[tuple[memoryview, tuple[int, ...]]] = deque()

    def put(self, frame: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send a frame, and descriptors beside it; both now or when ``flush`` can. The caller may close the descriptors when
        ``is_empty``."""
        self._waiting.append((memoryview(frame), fds))
        self.flush()

    def flush(self) -> None:
        """Send what goes. Raises OSError when the other end is gone."""
        while self._waiting:
            frame, fds = self._waiting[0]
            beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self.sock.sendmsg([frame], beside)
            except (BlockingIOError, InterruptedError):
                return
            if sent == len(frame):
                self._waiting.popleft()
            else:
                self._waiting[0] = (frame[sent:], ())

    def forget(self) -> None:
        """Nobody is there any more to whom what waits could be sent."""
        self._waiting.clear()

    @property
    def is_empty(self) -> bool:
        """Whether all has been sent."""
        return not self._waiting


def _frame(payload: bytes) -> bytes:
    if len(payload) > LONGEST_FRAME:
        raise DocumentError("too large to be sent", got=f"{len(payload)} bytes", expected=f"at most {LONGEST_FRAME}")
    return _LENGTH.pack(len(payload)) + payload
