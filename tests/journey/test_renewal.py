"""A certificate is renewed again and again in the middle of an exam: nobody notices, and newcomers get the new one."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path

from tests.support.aio import run
from tests.support.certificates import certify
from tests.support.ports import free_port
from tests.support.product import Product, serving, until
from tests.support.traffic import ExamServer, Traffic, beside, exam_server

WORKER = "waitroom.server.worker"
KEPT, RENEWALS = 60, 8
HANDSHAKES = 12
"""Looked at after each renewal: one of two workers is missed by all of them once in 2,000 times."""

REQUEST = b"GET / HTTP/1.1\r\nHost: exam\r\nAccept: text/html\r\nConnection: close\r\n\r\n"


class Certificates:
    """Where the service looks, as certbot keeps it: `live/cert.pem` leads to one of `archive/`, and so does the key."""

    def __init__(self, folder: Path) -> None:
        self.trust = ssl.create_default_context()
        self.archive, live = folder / "archive", folder / "live"
        self.archive.mkdir()
        live.mkdir()
        self.cert, self.key = live / "cert.pem", live / "key.pem"
        names = [f"{kind}{number}" for number in (0, 1) for kind in ("ec", "rsa")]
        for name in names:
            certify(self.archive, name, host="localhost", kind=name[:-1])
            self.trust.load_verify_locations(self.archive / f"{name}.crt")
        self._next = cycle(names)
        self._issued = 0
        self.issue()
        self.swap()

    def issue(self) -> None:
        """The next one, of another kind of key than the one before, is there, and not yet in its place."""
        self._issued += 1
        name = next(self._next)
        self.new = [self.archive / f"{self._issued}.{each}" for each in ("cert", "key")]
        for new, ending in zip(self.new, ("crt", "key"), strict=True):
            shutil.copy(self.archive / f"{name}.{ending}", new)
        self.shown = ssl.PEM_cert_to_DER_cert(self.new[0].read_text())

    def swap(self) -> None:
        """As certbot: one symlink after the other."""
        for place, new in zip((self.cert, self.key), self.new, strict=True):
            link = place.with_suffix(".new")
            link.symlink_to(Path("..") / "archive" / new.name)
            link.rename(place)

    def write(self, *, half: bool = False) -> None:
        """As `cp`: over what is there. `half`: only the certificate."""
        shutil.copyfile(self.new[0], self.cert)
        if not half:
            shutil.copyfile(self.new[1], self.key)


@dataclass(slots=True)
class Room:
    """A service with two workers, and its certificates."""

    product: Product
    at: Certificates
    port: int
    terminated: list[int] = field(default_factory=list)

    async def handshake(self) -> bytes:
        """The certificate that a newcomer is shown."""
        reader, writer = await asyncio.open_connection("localhost", self.port, ssl=self.at.trust)
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(b"GET /_waitroom/status HTTP/1.1\r\nHost: exam\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
        writer.close()
        return shown

    async def all_show(self, certificate: bytes) -> None:
        """Every newcomer is shown this one."""
        assert set(await asyncio.gather(*(self.handshake() for _ in range(HANDSHAKES)))) == {certificate}

    def said(self, event: str) -> int:
        """How often the log says so."""
        return self.product.log.read_text().count(f'"event": "{event}"')

    async def until_said(self, event: str, before: int) -> None:
        """Wait until the log says so once more."""

        async def look() -> bool:
            return self.said(event) > before

        await until(look, what=event)

    async def replace_worker(self) -> None:
        """One worker is told to leave; returns when the process that takes its slot has been started."""
        before = self.product.children(WORKER)
        self.terminated.append(next(pid for pid in before if pid not in self.terminated))
        os.kill(self.terminated[-1], signal.SIGTERM)

        async def another() -> bool:
            return bool({*self.product.children(WORKER)} - {*before})

        await until(another, what="another worker")

    async def settled(self) -> None:
        """Wait until two workers accept."""

        async def both() -> bool:
            seen = await self.product.metrics()
            return seen["waitroom_workers"] == 2 and seen["waitroom_worker_restarts_total"] == len(self.terminated)

        await until(both, what="two workers, and no more replaced than were told to leave")

    async def in_place(self) -> None:
        """New files under the old names, and SIGHUP."""
        self.at.issue()
        await self._reloaded()

    async def _reloaded(self) -> None:
        before = self.said("config_reloaded")
        self.at.write()
        self.product.process.send_signal(signal.SIGHUP)
        await self.until_said("config_reloaded", before)
        await self.all_show(self.at.shown)

    async def by_symlink(self) -> None:
        """As certbot, and nobody says anything."""
        self.at.issue()
        before = self.said("config_reloaded")
        self.at.swap()
        await self.until_said("config_reloaded", before)
        await self.all_show(self.at.shown)

    async def half_written(self) -> None:
        """A certificate whose key is still to come is refused, also by a worker that begins meanwhile."""
        old = self.at.shown
        self.at.issue()
        before = self.said("config_reload_refused")
        self.at.write(half=True)
        self.product.process.send_signal(signal.SIGHUP)
        await self.until_said("config_reload_refused", before)
        await self.all_show(old)
        await self.replace_worker()
        await self.settled()
        await self.all_show(old)
        assert f"{self.at.key}: is not the key of {self.at.cert}" in self.product.log.read_text()
        await self._reloaded()

    async def while_a_worker_starts(self) -> None:
        """The worker that starts begins with the old one, and is given the new one."""
        self.at.issue()
        await self.replace_worker()
        await self._reloaded()
        await self.settled()
        await self.all_show(self.at.shown)


@contextlib.asynccontextmanager
async def room(tmp_path: Path, backend: str) -> AsyncIterator[Room]:
    """A service behind TLS of its own."""
    port, at = free_port(), Certificates(tmp_path)
    public = {"address": f"127.0.0.1:{port}", "tls": {"cert": str(at.cert), "key": str(at.key)}}
    settings = {
        "listen": {"public": [public]},
        "pools": {"main": {"backends": {"main-1": {"url": backend, "max_sessions": 5}}}},
        "timeouts": {"drain": "10m", "tunnel_drain": "10m"},
        "logging": {"access": False},
        "workers": 2,
    }
    async with serving(tmp_path, config=json.dumps(settings), public=None) as product:
        yield Room(product, at, port)


async def passed(traffic: Traffic, trust: ssl.SSLContext, port: int) -> str:
    """The cookie of somebody who is in."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
    writer.write(traffic.head("GET", "/", "none=1", "Connection: close\r\n"))
    head = (await reader.read()).decode()
    writer.close()
    assert head.startswith("HTTP/1.1 200 "), head
    return head.partition("Set-Cookie: ")[2].partition(";")[0]


def test_renewals_under_load_drop_nobody(tmp_path: Path) -> None:
    """Each way to renew, twice: no request, connection, file or tunnel is lost; who comes gets the new certificate."""

    async def main() -> None:
        async with exam_server() as exam, room(tmp_path, exam.url) as here:
            traffic = Traffic(f"https://localhost:{here.port}", here.at.trust, pause_s=0.1)
            cookie = await passed(traffic, here.at.trust, here.port)
            over, hurry = asyncio.Event(), asyncio.Event()
            clients = [partial(traffic.saves, cookie)] * KEPT
            clients += [partial(traffic.download, cookie, hurry)] * 3
            clients += [
                partial(traffic.newcomers, cookie),
                partial(traffic.upload, cookie, hurry),
                partial(traffic.tunnel, cookie, over),
            ]
            async with beside(traffic, *clients):
                try:
                    ways = cycle((here.in_place, here.by_symlink, here.half_written, here.while_a_worker_starts))
                    for _, renew in zip(range(RENEWALS), ways, strict=False):
                        await renew()
                    assert traffic.done["upload"] == traffic.done["download"] == traffic.done["tunnel"] == 0
                finally:
                    over.set()
                    hurry.set()
            nothing_was_lost(exam, traffic)
            told = here.product.log.read_text()
            assert '"key": "listen.public[0].tls.cert", "old": "contents", "new": "other contents"' in told
            assert "PRIVATE" not in told

    run(main())


def nothing_was_lost(exam: ExamServer, traffic: Traffic) -> None:
    """Everybody has ended well, and each answer was saved once."""
    assert traffic.lost == []
    assert (traffic.done["upload"], traffic.done["download"], traffic.done["tunnel"]) == (1, 3, 1)
    assert traffic.done["POST"] == traffic.posts > KEPT
    assert sorted(exam.saved) == sorted(str(number + 1) for number in range(traffic.posts))
    assert set(exam.saved.values()) == {1}


def test_a_session_is_resumed_or_begun_anew(tmp_path: Path) -> None:
    """A ticket is of one worker and one certificate; shown to another, it costs a whole handshake and no error."""

    async def main() -> None:
        async with exam_server() as exam, room(tmp_path, exam.url) as here:

            def visit(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession | None]:
                with (
                    socket.create_connection(("localhost", here.port)) as plain,
                    here.at.trust.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
                ):
                    tls.sendall(REQUEST)
                    assert tls.recv(65_536).startswith(b"HTTP/1.1 ")  # tickets come with the first bytes
                    return bool(tls.session_reused), tls.session

            _, session = await asyncio.to_thread(visit, None)

            async def resumed() -> bool:
                return (await asyncio.to_thread(visit, session))[0]

            await until(resumed, what="the worker that knows the ticket")
            await here.in_place()
            assert not any([await resumed() for _ in range(HANDSHAKES)])
            _, session = await asyncio.to_thread(visit, None)
            await until(resumed, what="the same with the new certificate")

    run(main())
