"""The public listening sockets, bound once by the supervisor and inherited by the workers.

Law: a connection that the kernel has accepted is answered by somebody. Each worker slot has a socket of its own for
every TCP address (SO_REUSEPORT: the kernel spreads connections), and it stays open while its worker is replaced, so
what waits in the backlog waits for the replacement. A unix address has one socket that all workers share, and so may
an address whose sockets a service manager passes: those stay open while the whole service is replaced.
"""

import asyncio
import contextlib
import ctypes
import errno
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waitroom.errors import WaitroomError
from waitroom.server.passed import Passed, shown
from waitroom.settings.model import PublicListen

BACKLOG = 4_096
"""Connections that may wait for a worker; the kernel cuts it to net.core.somaxconn (4096 since Linux 5.4)."""

SO_ATTACH_FILTER = 26
"""asm-generic/socket.h; Python does not name it."""

DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte at 13: the flags (RFC 9293 section 3.1)
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # yes: keep nothing of the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # no: keep all
)
"""Instructions of a socket filter: code, jump if true, jump if false, operand (linux/bpf_common.h)."""

UNIX_MODE = 0o666
"""Anyone on the machine may connect to a unix address, as anyone can to a port; a folder's mode can narrow it."""


At = tuple[Any, ...]
"""A socket address as getaddrinfo gives it."""


class ListenError(WaitroomError):
    """An address to listen on cannot be had; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Doors:
    """All public sockets: `slots[i]` are those of worker i, in the order of the settings."""

    slots: tuple[tuple[socket.socket, ...], ...]
    addresses: tuple[str, ...]
    unix_paths: tuple[Path, ...] = ()
    kept: bool = False
    """A service manager holds them open after us: what waits in a backlog then waits for the next service."""

    def shut(self) -> None:
        """Let nobody new in; who waits in a backlog can still be answered.

        A newcomer's SYN is dropped by a filter on the socket, and refused when it is sent again a second later. Closing
        at once would reset whoever came between the last accept and the close. Doors that are kept are never shut.
        """
        if self.kept:
            return
        for row in self.slots:
            for each in row:
                if each.family != socket.AF_UNIX:
                    _drop_newcomers(each)

    def close(self) -> None:
        """Let go of our copies. The kernel refuses newcomers as soon as the workers have let go of theirs."""
        for row in self.slots:
            for each in row:
                each.close()

    def remove(self) -> None:
        """Take unix sockets out of the file system."""
        for path in self.unix_paths:
            path.unlink(missing_ok=True)


async def empty_backlog(doors: Sequence[socket.socket]) -> None:
    """Give the loop its turns until it has accepted all that waits; it accepts one connection a turn (libuv)."""
    poller = select.poll()
    for each in doors:
        poller.register(each.fileno(), select.POLLIN)
    for _ in range(BACKLOG * len(doors)):
        if not poller.poll(0):
            return
        await asyncio.sleep(0)


def open_doors(listens: Sequence[PublicListen], workers: int, passed: Passed | None = None) -> Doors:
    """Bind every address for every worker, or take what is passed; or raise ListenError with nothing left open."""
    passed = passed or Passed()
    taken = [passed.take(*_where(listen)) for listen in listens]
    if all(taken):
        rows = [_for_all(column, workers) for column in taken]
        return Doors(tuple(zip(*rows, strict=True)), tuple(str(listen.address) for listen in listens), kept=True)
    if any(taken):
        missing = ", ".join(str(listen.address) for listen, column in zip(listens, taken, strict=True) if not column)
        raise ListenError(f"cannot listen on {missing}: the service manager passes the other addresses, not this one")
    columns: list[list[socket.socket]] = []
    addresses: list[str] = []
    paths: list[Path] = []
    with contextlib.ExitStack() as undo:
        for listen in listens:
            column, address = _unix(listen.unix, workers) if listen.unix else _tcp(listen.host, listen.port, workers)
            for each in column:
                undo.callback(each.close)
            columns.append(column)
            addresses.append(address)
            paths.extend([Path(listen.unix)] if listen.unix else [])
        undo.pop_all()
    return Doors(tuple(zip(*columns, strict=True)), tuple(addresses), tuple(paths))


def open_door(host: str, port: int, passed: Passed | None = None) -> tuple[socket.socket, str]:
    """One socket for the admin listener, and its address."""
    if passed is not None and (found := passed.take(*_place(host, port))):
        return found[0], shown(found[0])
    (door,), address = _tcp(host, port, 1)
    return door, address


def _for_all(passed: Sequence[socket.socket], workers: int) -> list[socket.socket]:
    """One of an address's passed sockets for every worker; workers share where there are fewer."""
    if len(passed) > workers:
        raise ListenError(
            f"the service manager passes {len(passed)} sockets for {shown(passed[0])}, more than there are workers "
            f"({workers}); name the address once in its socket unit, or at most once a worker"
        )
    return [*passed, *(passed[slot % len(passed)].dup() for slot in range(len(passed), workers))]


def _where(listen: PublicListen) -> tuple[int, At | str]:
    """Family and address, as a passed socket has them."""
    return (socket.AF_UNIX, listen.unix) if listen.unix else _place(listen.host, listen.port)


def _place(host: str, port: int) -> tuple[int, At]:
    """Family and address, as a passed socket has them."""
    try:
        return _resolved(host, port)
    except OSError as error:
        raise _refused(f"{host}:{port}", error) from None


def _tcp(host: str, port: int, copies: int) -> tuple[list[socket.socket], str]:
    told = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    made: list[socket.socket] = []
    try:
        family, at = _resolved(host, port)
        at = (at[0], _probe(family, at), *at[2:])
        made.extend(_bound(family, at, shared=copies > 1) for _ in range(copies))
        for each in made:
            each.listen(BACKLOG)
    except OSError as error:
        for each in made:
            each.close()
        raise _refused(told, error) from None
    return made, f"{told.rpartition(':')[0]}:{at[1]}"


def _resolved(host: str, port: int) -> tuple[int, At]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, at = found[0]
    return family, at


def _probe(family: int, at: At) -> int:
    """The port, if nobody has it. Sockets that share a port would bind even beside a stranger's that shares it too."""
    with _bound(family, at, shared=False) as probe:
        port: int = probe.getsockname()[1]
        return port


def _bound(family: int, at: At, *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 and [::] can stand in one list
        made.setblocking(False)
        made.bind(at)
    except OSError:
        made.close()
        raise
    return made


def _drop_newcomers(door: socket.socket) -> None:
    """Attach the filter (socket(7), SO_ATTACH_FILTER). A handshake that is under way can still be finished."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in DROP_SYN))
    program = struct.pack("HP", len(DROP_SYN), ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a kernel without it: then a few newcomers are reset instead
        door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _unix(path: str, copies: int) -> tuple[list[socket.socket], str]:
    told = f"unix:{path}"
    first = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        first.setblocking(False)
        first.bind(path)
        Path(path).chmod(UNIX_MODE)
        first.listen(BACKLOG)
    except OSError as error:
        first.close()
        raise _refused(told, error) from None
    return [first, *(first.dup() for _ in range(copies - 1))], told


def _remove_stale(path: str) -> None:
    """A socket file that nobody answers is left over from a crash. One that answers is in use."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, "in use")


def _refused(told: str, error: OSError) -> ListenError:
    match error.errno:
        case errno.EADDRINUSE:
            why = "the address is in use: another program listens there; stop it or choose another port"
        case errno.EACCES:
            why = "not allowed: ports below 1024 need the capability CAP_NET_BIND_SERVICE, files a writable folder"
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address"
        case _:
            why = error.strerror or str(error)
    return ListenError(f"cannot listen on {told}: {why}")
