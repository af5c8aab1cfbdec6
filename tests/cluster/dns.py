"""Whether the cluster's DNS knows a name, asked from this machine."""

from __future__ import annotations

import socket
import struct

RECURSION_DESIRED = 0x0100
A, IN = 1, 1


def knows(server: str, name: str) -> bool:
    """Ask a server for a name's addresses, by one packet (RFC 1035, 4.1): whether it gave one."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = struct.pack(">6H", 1, RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", A, IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect((server, 53))
        try:
            asking.send(question)
            answer = asking.recv(512)
        except OSError:  # it is not there, or not yet
            return False
    (answers,) = struct.unpack_from(">H", answer, 6)
    return bool(answers)
