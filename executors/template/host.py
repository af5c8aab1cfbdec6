"""The template process: imports, looks, then forks, signals and reaps what its coordinator asks for.

It is told things through one socket pair and ends with it: when the coordinator is gone, every step's process and whatever that
started is killed first. It has one thread and waits in ``poll``.
"""

from __future__ import annotations

import gc
import os
import pkgutil
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from ...serdes.record import write_all
from ..standard_streams import flush
from .inspection import Before, before, unsafe_to_fork
from .lifeline import die_with, outlive_parent
from .step_process import Load, Perform, error_of, forget_the_template, live
from .wire import Hello, Receiver, told

_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def serve(load: Load) -> NoReturn:
    """Be a template, or a single step's process: the whole of a program's ``main``.

    The command line ends in ``template|step <descriptor> <pid of the parent>``, put there by who starts it.

    Args:
        load: imports the user's code and returns what runs one attempt.
    """
    role, fd, parent = sys.argv[-3], int(sys.argv[-2]), int(sys.argv[-1])
    die_with(parent)
    os.set_inheritable(fd, False)
    receiver = Receiver(socket.socket(fileno=fd))
    if role == "step":
        if os.getsid(0) != os.getpid():
            os.setsid()
        hello = _greeting(receiver)

        def ready() -> Perform:
            perform = load(hello.argument)
            receiver.sock.sendall(told("ready"))
            return perform

        live(receiver, ready)
    _Host(receiver, load).run()


def _greeting(receiver: Receiver) -> Hello:
    message = receiver.receive()
    if message is None:
        os._exit(0)
    hello: Hello = message[1]
    return hello


class _Host:
    def __init__(self, receiver: Receiver, load: Load) -> None:
        self.receiver = receiver
        self.sock = receiver.sock
        self.load = load
        self.hello = _greeting(receiver)
        self.perform: Perform | None = None
        self.slots: dict[int, int] = {}
        self.pids: dict[int, int] = {}
        self.handlers: dict[signal.Signals, Any] = {}
        self.wake, self.woken = -1, -1

    def run(self) -> NoReturn:
        try:
            self._import(before() if os.path.isdir("/proc/self/fd") else None)
            self._listen()
        except (BrokenPipeError, ConnectionResetError):
            # The coordinator is gone.
            self._end()

    # Importing ------------------------------------------------------------------------------------------------------------

    def _import(self, earlier: Before | None) -> None:
        try:
            for name in self.hello.preload:
                pkgutil.resolve_name(name)
            if self.hello.import_here:
                self.perform = self.load(self.hello.argument)
        except BaseException as error:  # noqa: BLE001 - whatever an import raises is told
            self.sock.sendall(told("failed", error_of(error).to_body()))
            os._exit(1)
        self.sock.sendall(told("loaded", unsafe_to_fork(earlier) if earlier is not None else []))
        write_all()
        gc.collect()
        # What is there now is shared with all children: the collector need not touch, and so copy, it.
        gc.freeze()
        flush()

    # Listening ------------------------------------------------------------------------------------------------------------

    def _listen(self) -> NoReturn:
        self._take_signals()
        # From here on the end of the socket pair is noticed at once, and there is something to tidy up.
        outlive_parent()
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        poller.register(self.woken, select.POLLIN)
        self._reap()
        while True:
            while self.receiver.pending():
                self._do(self.receiver.receive() or ("close",))
            for fd, _ in poller.poll():
                if fd == self.woken:
                    os.read(self.woken, 4096)
                    self._reap()
                elif not self.receiver.fill():
                    self._end()

    def _take_signals(self) -> None:
        """Ended by the socket pair or SIGKILL only: a signal for the whole group of a terminal or service is the coordinator's."""
        self.woken, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        for number in _OURS:
            self.handlers[number] = signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)

    def _do(self, message: tuple[Any, ...]) -> None:
        name, *details = message
        if name == "fork":
            self._fork(details[0])
        elif name == "spawn":
            self._spawn(details[0], details[1])
        elif name == "signal":
            self._signal(details[0], details[1])
        elif name == "kill":
            self._kill(details[0])
        else:
            self._end()

    # Children -------------------------------------------------------------------------------------------------------------

    def _fork(self, slot: int) -> None:
        fd = self.receiver.fds.popleft()
        me = os.getpid()
        # A stop that comes before the child can hear it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            pid = os.fork()
        except OSError as error:
            self._refuse(slot, fd, error)
            return
        else:
            if pid == 0:
                try:
                    self._become_step(fd, me)
                finally:
                    os._exit(1)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        self._started(slot, fd, pid)

    def _become_step(self, fd: int, template: int) -> NoReturn:
        os.setsid()
        die_with(template)
        signal.set_wakeup_fd(-1)
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        # Another child's descriptors too: it could not be seen to close them.
        for other in (self.sock.fileno(), self.wake, self.woken, *self.receiver.fds):
            os.close(other)
        self.sock.detach()
        forget_the_template()
        receiver = Receiver(socket.socket(fileno=fd))
        loaded = self.perform

        def ready() -> Perform:
            if loaded is not None:
                return loaded
            perform = self.load(self.hello.argument)
            receiver.sock.sendall(told("ready"))
            return perform

        live(receiver, ready)

    def _spawn(self, slot: int, command: list[str]) -> None:
        fd = self.receiver.fds.popleft()
        os.set_inheritable(fd, True)
        default = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
        try:
            argv = [*command, "step", str(fd), str(os.getpid())]
            pid = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=default)
        except OSError as error:
            self._refuse(slot, fd, error)
            return
        self._started(slot, fd, pid)

    def _started(self, slot: int, fd: int, pid: int) -> None:
        os.close(fd)
        self.slots[slot] = pid
        self.pids[pid] = slot
        self.sock.sendall(told("started", slot, pid))

    def _refuse(self, slot: int, fd: int, error: OSError) -> None:
        os.close(fd)
        self.sock.sendall(told("refused", slot, error.strerror or str(error)))

    def _signal(self, slot: int, number: int) -> None:
        # A pid in the table has not been reaped: it can not be another process'.
        if slot in self.slots:
            os.kill(self.slots[slot], number)

    def _kill(self, slot: int) -> None:
        if slot in self.slots:
            _kill_group(self.slots[slot])

    def _reap(self) -> None:
        """Tell of each child that ended; what it started and left behind in its group ends with it."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            slot = self.pids.pop(ended.si_pid, None)
            if slot is not None:
                # Still a zombie: until it is reaped its group can be no other's.
                _kill_group(ended.si_pid)
                del self.slots[slot]
            _, status = os.waitpid(ended.si_pid, 0)
            if slot is not None:
                self.sock.sendall(told("ended", slot, status))

    def _end(self) -> NoReturn:
        for pid in self.pids:
            _kill_group(pid)
        for pid in self.pids:
            os.waitpid(pid, 0)
        os._exit(0)


def _kill_group(pid: int) -> None:
    """Kill a child of ours that is not reaped yet, and its group; before it has made its group there is only itself."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
