"""The worked examples: each file is valid, and behind the nginx and the HAProxy shown nothing of a request is lost."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets
import yaml

from tests.deploy.places import DEPLOY, ROOT, told
from tests.support.aio import run
from tests.support.ports import free_port
from tests.support.product import START_S, Product, serving, until
from tests.support.traffic import ExamServer, exam_server

EXAMPLES = DEPLOY / "examples"
TLS = ROOT / "tests" / "journey" / "tls"
CLIENT = "127.0.0.7"
"""Whose address a backend is to hear: not that of the load balancer, which is 127.0.0.1."""

TARGET = "/mod/quiz/view.php?id=%7e1&b=&a=%2F..%2f&&c"
CERTIFICATE = {"/etc/ssl/exam.pem": str(TLS / "cert.pem"), "/etc/ssl/private/exam.key": str(TLS / "key.pem")}


def filled(path: Path, changes: dict[str, str]) -> str:
    """The example with this machine's places; each place must be in it."""
    text = path.read_text()
    for before, after in changes.items():
        assert before in text, (path, before)
        text = text.replace(before, after)
    return text


@contextlib.asynccontextmanager
async def running(*command: str, log: Path) -> AsyncIterator[None]:
    """A program that runs beside the block."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
    try:
        yield
        assert process.returncode is None, f"it ended; see {log}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def visit(port: int, exam: ExamServer) -> None:
    """A page by a target with odd bytes, and a WebSocket, from an address of one's own over TLS."""
    trust, cookie = ssl.create_default_context(cafile=TLS / "cert.pem"), ""

    async def page() -> str | None:
        nonlocal cookie
        with contextlib.suppress(OSError, EOFError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname="localhost", local_addr=(CLIENT, 0)
            )
            forged = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher\r\n"
            head = f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n{forged}Connection: close\r\n"
            known = f"Cookie: __Host-wr_main={cookie}\r\n" if cookie else ""
            writer.write(f"{head}{known}\r\n".encode())
            answer = (await reader.read()).decode()
            writer.close()
            cookie = answer.partition("__Host-wr_main=")[2].partition(";")[0] or cookie  # whoever waits comes again
            return answer if answer.startswith("HTTP/1.1 200 ") else None
        return None

    answer = await until(page, what="a page through the load balancer")
    fields = next(fields for target, fields in exam.heard if target == TARGET)  # the room looks after it as well
    assert fields["Host"] == "localhost"
    assert fields["X-Forwarded-For"].split(", ") in ([CLIENT], [CLIENT, "127.0.0.1"])  # and through whom
    assert fields["X-Forwarded-Proto"] == "https"
    assert cookie, answer
    said = {"Cookie": f"__Host-wr_main={cookie}"}
    url = f"wss://localhost:{port}/socket"
    async with websockets.connect(url, ssl=trust, additional_headers=said, proxy=None, open_timeout=START_S) as socket:
        for word in ("one", "two" * 50_000):
            await socket.send(word)
            assert await socket.recv() == word


@contextlib.asynccontextmanager
async def room(tmp_path: Path, name: str, exam: ExamServer, changes: dict[str, str]) -> AsyncIterator[Product]:
    """The example's own waiting room in front of an exam server."""
    text = filled(EXAMPLES / name / "waitroom.yaml", {"http://10.0.0.11": exam.url, **changes})
    async with serving(tmp_path, "--workers", "1", config=text, public=None) as product:
        yield product


def test_behind_nginx(tmp_path: Path) -> None:
    """nginx -t finds nothing; the address, the scheme and the target's bytes arrive, and WebSockets pass."""

    async def main() -> None:
        door, public = free_port(), free_port()
        site = filled(EXAMPLES / "nginx" / "exam.conf", {
            **CERTIFICATE, "listen 443 ssl;": f"listen 127.0.0.1:{door} ssl;", "127.0.0.1:8080": f"127.0.0.1:{public}",
        })  # fmt: skip
        (tmp_path / "exam.conf").write_text(site)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
            f"events {{}} http {{ access_log off; include {tmp_path}/exam.conf; }}\n"
        )
        command = ("/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
        told(*command, "-t")
        listen = {"127.0.0.1:8080": f"127.0.0.1:{public}"}
        async with (
            exam_server() as exam,
            room(tmp_path, "nginx", exam, listen),
            running(*command, log=tmp_path / "nginx.log"),
        ):
            await visit(door, exam)

    run(main())


def test_behind_haproxy(tmp_path: Path) -> None:
    """haproxy -c finds nothing; its checks find the room ready, and the PROXY protocol carries the address."""

    async def main() -> None:
        door, public = free_port(), free_port()
        listen = {"0.0.0.0:8443": f"127.0.0.1:{public}", "10.0.0.2/32": "127.0.0.1/32",
                  'store: {url: "redis://10.0.0.3:6379/0"}': "store: {}", **CERTIFICATE}  # fmt: skip
        async with exam_server() as exam, room(tmp_path, "haproxy", exam, listen) as product:
            text = filled(EXAMPLES / "haproxy" / "haproxy.cfg", {
                "maxconn 40000": "maxconn 400", "bind :443": f"bind 127.0.0.1:{door}",
                "10.0.0.5:8443": f"127.0.0.1:{public}",
                "10.0.0.6:8443": "127.0.0.1:1", "port 9090": f"port {product.admin.rpartition(':')[2]}",
            })  # fmt: skip
            (tmp_path / "haproxy.cfg").write_text(text)
            told("/usr/sbin/haproxy", "-c", "-f", tmp_path / "haproxy.cfg")
            async with running(
                "/usr/sbin/haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg"), log=tmp_path / "ha.log"
            ):
                await visit(door, exam)

    run(main())


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("waitroom.yaml")), ids=lambda path: path.parent.name)
def test_settings(path: Path, tmp_path: Path) -> None:
    """`waitroom check` finds nothing wrong with any settings that are shown, on a machine with their certificate."""
    text = path.read_text()
    for before, after in CERTIFICATE.items():
        text = text.replace(before, after)
    (tmp_path / path.name).write_text(text)
    told("waitroom", "check", tmp_path / path.name)


def test_traefik() -> None:
    """Not run here: the router leads to the service, which is the address of the example's waiting room."""
    http = yaml.safe_load((EXAMPLES / "traefik" / "exam.yml").read_text())["http"]
    (router,) = http["routers"].values()
    balancer = http["services"][router["service"]]["loadBalancer"]
    room_at = yaml.safe_load((EXAMPLES / "nginx" / "waitroom.yaml").read_text())["listen"]["public"]
    assert balancer["servers"] == [{"url": f"http://{room_at}"}]
    assert balancer["passHostHeader"] is True
