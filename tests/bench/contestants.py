"""Who is measured: the product, nginx as the yardstick, three others for comparison, and nginx as the backend of all.

Law: each has one worker or thread, keeps its connections to the backend, says X-Forwarded-For and -Proto, streams
uploads and writes no access log. What a server does by itself beyond that is left as Debian ships it.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import CROWD
from tests.bench.served import Served, binary
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
CERTIFICATE, KEY = (ROOT / "tests" / "journey" / "tls" / name for name in ("cert.pem", "key.pem"))
"""ECDSA P-256, as certbot makes them today. Good for loopback and for nothing else."""

BODY_BYTES = 280
BIG_BYTES = 100 * 1024 * 1024
KEPT = CROWD
"""Idle connections to the backend that a proxy keeps: as many as any load has connections."""

QUIET_S = 600
"""How long a connection may say nothing: longer than a part of the bench."""

OURS, YARDSTICK = "waitroom", "nginx"


@dataclass(slots=True)
class Nginx(Served):
    """Debian's nginx with one worker, before the backend."""

    def configure(self) -> None:
        user = "user root;" if os.geteuid() == 0 else ""  # the files that it serves belong to whoever runs this
        self._file().write_text(
            f"{user} worker_processes 1; daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log error;\n"
            "events { worker_connections 24000; }\n"
            "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
            f"keepalive_timeout {QUIET_S}; client_max_body_size 0; client_body_temp_path {self.folder}/body;\n"
            f"proxy_temp_path {self.folder}/proxy; fastcgi_temp_path {self.folder}/f;\n"
            f"uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;\n"
            f"{self._server()} }}\n"
        )

    def command(self) -> list[str]:
        return [binary("nginx"), "-c", str(self._file()), "-p", str(self.folder)]

    def checker(self) -> list[str]:
        return [*self.command(), "-t"]

    def _file(self) -> Path:
        return self.folder / "nginx.conf"

    def _server(self) -> str:
        secure = f" ssl; ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY}" if self.tls else ""
        return (
            f"upstream exam {{ server 127.0.0.1:{self.upstream}; keepalive {KEPT}; keepalive_requests 100000000; }}\n"
            f"server {{ listen 127.0.0.1:{self.port} backlog=4096{secure}; location / {{ proxy_pass http://exam;\n"
            'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;\n'
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_request_buffering off;\n"
            "proxy_set_header X-Forwarded-Proto $scheme; } }"
        )


@dataclass(slots=True)
class Backend(Nginx):
    """nginx behind all of them: a page of some bytes, and a large file."""

    def _server(self) -> str:
        with (self.folder / "big").open("wb") as big:
            big.truncate(BIG_BYTES)
        return (
            f"server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.folder};\n"
            f"location = /big {{ }}\n"
            f'location / {{ default_type text/html; return 200 "{"x" * BODY_BYTES}"; }} }}'
        )


@dataclass(slots=True)
class Waitroom(Served):
    """The product with one worker and its embedded store, from this checkout."""

    max_sessions: int = 1_000_000

    def configure(self) -> None:
        secure = f", tls: {{cert: '{CERTIFICATE}', key: '{KEY}'}}" if self.tls else ""
        self._file().write_text(
            f"listen: {{public: [{{address: '127.0.0.1:{self.port}'{secure}}}], admin: '127.0.0.1:{free_port()}'}}\n"
            f"workers: 1\nstore: {{data_dir: {self.folder}/var}}\nsecrets: {{file: {self.folder}/var/secrets}}\n"
            f"pools: {{main: {{backends: {{main-1: {{url: 'http://127.0.0.1:{self.upstream}', "
            f"max_sessions: {self.max_sessions}}}}}}}}}\n"
            f"timeouts: {{idle: {QUIET_S}s}}\nlogging: {{access: false, level: warning}}\n"
        )

    def command(self) -> list[str]:
        return [sys.executable, "-m", "waitroom", "serve", str(self._file())]

    def checker(self) -> list[str]:
        return [sys.executable, "-m", "waitroom", "check", str(self._file())]

    def _file(self) -> Path:
        return self.folder / "waitroom.yaml"


@dataclass(slots=True)
class Haproxy(Served):
    """Debian's HAProxy with one thread. `maxconn` bounds its open files, which it takes whole from the start."""

    def configure(self) -> None:
        secure = ""
        if self.tls:
            both = self.folder / "both.pem"
            both.write_text(CERTIFICATE.read_text() + KEY.read_text())
            secure = f" ssl crt {both}"
        self._file().write_text(
            "global\n    nbthread 1\n    maxconn 8000\n    no strict-limits\n"
            f"defaults\n    mode http\n    timeout client {QUIET_S}s\n    timeout server {QUIET_S}s\n"
            f"    timeout connect 5s\n    timeout http-keep-alive {QUIET_S}s\n    option forwardfor\n"
            f"    http-reuse always\n"
            f"frontend public\n    bind 127.0.0.1:{self.port} backlog 4096{secure}\n"
            f"    http-request set-header X-Forwarded-Proto {'https' if self.tls else 'http'}\n"
            f"    default_backend exam\n"
            f"backend exam\n    server main-1 127.0.0.1:{self.upstream} pool-max-conn {KEPT}\n"
        )

    def command(self) -> list[str]:
        return [binary("haproxy"), "-db", "-f", str(self._file())]

    def checker(self) -> list[str]:
        return [*self.command(), "-c"]

    def _file(self) -> Path:
        return self.folder / "haproxy.cfg"


@dataclass(slots=True)
class Caddy(Served):
    """Debian's Caddy on one of Go's processors. It says X-Forwarded-For and -Proto by itself."""

    def configure(self) -> None:
        secure = f"tls {CERTIFICATE} {KEY}\n" if self.tls else ""
        self._file().write_text(
            f"{{\nadmin off\nauto_https off\ndefault_sni localhost\nlog {{\nlevel ERROR\n}}\n"
            f"servers {{\nprotocols h1\ntimeouts {{\nidle {QUIET_S}s\n}}\n}}\n}}\n"
            f"{'https' if self.tls else 'http'}://:{self.port} {{\nbind 127.0.0.1\n{secure}"
            f"reverse_proxy 127.0.0.1:{self.upstream} {{\ntransport http {{\nkeepalive {QUIET_S}s\n"
            f"keepalive_idle_conns_per_host {KEPT}\n}}\n}}\n}}\n"
        )

    def command(self) -> list[str]:
        return [binary("caddy"), "run", *self._arguments()]

    def checker(self) -> list[str]:
        return [binary("caddy"), "validate", *self._arguments()]

    def environment(self) -> dict[str, str]:
        return os.environ | {"GOMAXPROCS": "1", "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}

    def _arguments(self) -> list[str]:
        return ["--config", str(self._file()), "--adapter", "caddyfile"]

    def _file(self) -> Path:
        return self.folder / "Caddyfile"


@dataclass(slots=True)
class Plain(Served):
    """aiohttp's server and client in one file: what a team would write in an afternoon."""

    def command(self) -> list[str]:
        secure = ["--cert", str(CERTIFICATE), "--key", str(KEY)] if self.tls else []
        return [*self._program(), str(self.port), f"http://127.0.0.1:{self.upstream}", *secure]

    def checker(self) -> list[str]:
        return [*self._program(), "--help"]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.plain_proxy"]


OTHERS: dict[str, type[Served]] = {"haproxy": Haproxy, "caddy": Caddy, "aiohttp": Plain}
"""Those that may be left out, by name."""
