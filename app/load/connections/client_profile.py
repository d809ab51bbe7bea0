"""How fast slow clients read and write."""

from __future__ import annotations

from dataclasses import dataclass

from app.load.connections.request_kind import build_request
from app.load.protocol.plan import Work

FULL_SPEED_BYTES = 64 * 1024  # per step


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """What a slow client does in each step.

    - `request`: what it sends, which may be several requests. `responses`: how many responses that has.
    - `write_bytes`, `read_bytes`: the most that it sends and reads in a step.
    - `receive_buffer_bytes`: SO_RCVBUF, which the kernel doubles (socket(7)); 0: the kernel's default.
    """

    request: bytes
    responses: int
    write_bytes: int
    read_bytes: int
    receive_buffer_bytes: int


def slow_reader(host: str) -> ClientProfile:
    """Return a client that reads 128 KB/s. `host` is the value of the Host field.

    A response of 128 KiB takes about a second, so a server with a write deadline of 10 s does not close the
    connection. It sends 32 requests (4 MiB of responses) at once: socket buffers take the first part of a
    response, and a server that has to send less never notices the slow client.
    """
    large = build_request(Work("bytes", params={"n": 128 * 1024}), host)
    return ClientProfile(
        request=large * 32,
        responses=32,
        write_bytes=FULL_SPEED_BYTES,
        read_bytes=32 * 1024,
        receive_buffer_bytes=16 * 1024,
    )


def slow_writer(host: str) -> ClientProfile:
    """Return a client that writes 32 bytes/s: a request in 2 s, within any deadline for a request head."""
    return ClientProfile(
        request=build_request(Work("plaintext"), host),
        responses=1,
        write_bytes=8,
        read_bytes=FULL_SPEED_BYTES,
        receive_buffer_bytes=0,
    )
