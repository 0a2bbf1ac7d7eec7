"""Sockets that are bound once, for every worker, or refused in one clear line."""

import socket
from pathlib import Path

import pytest

from tests.support.ports import free_port
from waitroom.server.sockets import ListenError, open_door, open_doors
from waitroom.settings.model import PublicListen


def listen(address: str) -> PublicListen:
    """A public address."""
    return PublicListen.model_validate(address)


def port_of(each: socket.socket) -> int:
    """The port that it is bound to."""
    port: int = each.getsockname()[1]
    return port


def test_each_worker_has_a_socket_on_the_same_port() -> None:
    """Every slot gets its own socket for every address; a free port is chosen once."""
    doors = open_doors([listen("127.0.0.1:0"), listen("[::1]:0")], 3)
    assert len(doors.slots) == 3
    ipv4, ipv6 = (({port_of(row[column]) for row in doors.slots}) for column in (0, 1))
    assert len(ipv4) == len(ipv6) == 1
    assert doors.addresses == (f"127.0.0.1:{ipv4.pop()}", f"[::1]:{ipv6.pop()}")
    assert all(not each.getblocking() for row in doors.slots for each in row)
    doors.close()


def test_an_address_in_use_is_refused() -> None:
    """A port that another program has is refused in one line, even if that program shares its port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = port_of(other)
        with pytest.raises(ListenError, match=rf"^cannot listen on 127.0.0.1:{taken}: the address is in use: .*$"):
            open_doors([listen("127.0.0.1:0"), listen(f"127.0.0.1:{taken}")], 2)
        with pytest.raises(ListenError, match="in use"):
            open_door("127.0.0.1", taken)


def test_an_address_of_another_machine_is_refused() -> None:
    """An address that this machine does not have is refused in one line."""
    with pytest.raises(ListenError, match=r"^cannot listen on 192.0.2.1:8080: this machine has no such address$"):
        open_doors([listen("192.0.2.1:8080")], 1)


def test_a_restart_does_not_wait_for_old_connections() -> None:
    """The port can be had again at once, though a connection of before is not forgotten yet (TIME_WAIT)."""
    port = free_port()  # which nobody else is given while it is closed
    doors = open_doors([listen(f"127.0.0.1:{port}")], 1)
    (door,) = doors.slots[0]
    with socket.create_connection(("127.0.0.1", port)) as client:
        door.setblocking(True)
        served, _ = door.accept()
        served.close()
        assert client.recv(1) == b""
    doors.close()
    again = open_doors([listen(f"127.0.0.1:{port}")], 2)
    again.close()


def test_unix_address(tmp_path: Path) -> None:
    """A unix address is one socket that all workers share; a left-over file is replaced, a live one is not."""
    path = tmp_path / "public.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    doors = open_doors([listen(f"unix:{path}")], 2)
    assert doors.addresses == (f"unix:{path}",)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    with pytest.raises(ListenError, match="in use"):
        open_doors([listen(f"unix:{path}")], 2)
    doors.close()
    doors.remove()
    assert not path.exists()
