"""Who is measured: nginx as the backend of all, nginx as the yardstick, and the product. More fit the same protocol."""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.procs import family
from tests.support.product import free_port

ROOT = Path(__file__).parents[2]
START_S = 30.0
LOOK_S = 0.05
BODY_BYTES = 280
BIG_BYTES = 100 * 1024 * 1024
KEPT = 64
"""Idle connections to the backend that a proxy keeps: as many as the load has connections."""


class Contestant(Protocol):
    """A server under measurement."""

    name: str
    port: int

    def start(self) -> None:
        """Listen on `port`; returns when it answers."""

    def pids(self) -> list[int]:
        """Every process that belongs to it."""

    def stop(self) -> None:
        """End it."""


@dataclass(slots=True)
class _Served:
    """A contestant that is one command."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        give_up = time.monotonic() + START_S
        while not self._answers():
            if self._ended_within(LOOK_S) or time.monotonic() > give_up:
                raise SystemExit(f"{self.name} does not start:\n{(self.folder / 'log').read_text(errors='replace')}")

    def pids(self) -> list[int]:
        assert self.process is not None
        return family(self.process.pid)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _ended_within(self, seconds: float) -> bool:
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/health")
            connection.getresponse().read()
            connection.close()
            return True
        return False


@dataclass(slots=True)
class Nginx(_Served):
    """Debian's nginx with one worker and no access log: a backend, or the yardstick in front of one."""

    upstream: int | None = None

    def command(self) -> list[str]:
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if binary is None:
            raise SystemExit("nginx is missing: apt-get install nginx-light wrk")
        server = self._backend() if self.upstream is None else self._proxy(self.upstream)
        config = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # the files that it serves belong to whoever runs this
        config.write_text(
            f"{user} worker_processes 1; daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log error;\n"
            "events { worker_connections 8192; }\n"
            "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; keepalive_timeout 600;\n"
            f"client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;\n"
            f"fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;\n"
            f"{server} }}\n"
        )
        return [binary, "-c", str(config), "-p", str(self.folder)]

    def _backend(self) -> str:
        with (self.folder / "big").open("wb") as big:
            big.truncate(BIG_BYTES)
        return (
            f"server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.folder};\n"
            f"location = /big {{ }}\n"
            f'location / {{ default_type text/html; return 200 "{"x" * BODY_BYTES}"; }} }}'
        )

    def _proxy(self, upstream: int) -> str:
        return (
            f"upstream exam {{ server 127.0.0.1:{upstream}; keepalive {KEPT}; keepalive_requests 100000000; }}\n"
            f"server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ proxy_pass http://exam;\n"
            'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;\n'
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
            "proxy_set_header X-Forwarded-Proto $scheme; } }"
        )


@dataclass(slots=True)
class Waitroom(_Served):
    """The product with one worker, its embedded store and no access log, from this checkout."""

    upstream: int = 0
    max_sessions: int = 1

    def command(self) -> list[str]:
        file = self.folder / "waitroom.yaml"
        file.write_text(
            f"listen: {{public: '127.0.0.1:{self.port}', admin: '127.0.0.1:{free_port()}'}}\n"
            f"workers: 1\nstore: {{data_dir: {self.folder}/var}}\nsecrets: {{file: {self.folder}/var/secrets}}\n"
            f"pools: {{main: {{backends: {{main-1: {{url: 'http://127.0.0.1:{self.upstream}', "
            f"max_sessions: {self.max_sessions}}}}}}}}}\n"
            "logging: {access: false, level: warning}\n"
        )
        return [sys.executable, "-m", "waitroom", "serve", str(file)]
