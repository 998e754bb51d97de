"""Real proxies on loopback, from Debian's packages, each with a folder for its files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.timing import PATIENCE

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
{locations}
    }}
}}
"""


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test; with TOKENSTREAM_REQUIRE_SDKS=1, fail it."""
    found = shutil.which(name)
    if found is None:
        reason = f"needs {name} in PATH, of the package {package} of Debian"
        if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def nginx(folder: Path, upstream: str, locations: dict[str, str]) -> Generator[str, None, None]:
    """Run nginx in front of a server, and yield its address.

    Args:
        locations: Directives by the first part of a path, which is not passed to the server.
    """
    port = free_port()
    blocks = [
        f"location /{name}/ {{ {directives} proxy_pass {upstream}/; }}"
        for name, directives in locations.items()
    ]
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, locations="\n".join(blocks)), "utf-8")
    command = [
        program("nginx", "nginx"),
        "-e",
        str(folder / "error.log"),
        "-p",
        str(folder),
        "-c",
        str(config),
    ]
    with _running(command, port, folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nghttpx(folder: Path, upstream: str, certificate: Path, key: Path) -> Generator[str, None, None]:
    """Run nghttpx, which speaks HTTP/2 over TLS, in front of a server, and yield its address."""
    port = free_port()
    backend = upstream.removeprefix("http://").replace(":", ",")
    command = [
        program("nghttpx", "nghttp2-proxy"),
        "--conf",
        os.devnull,
        "--single-process",
        "--workers=1",
        f"-b{backend}",
    ]
    command += [
        f"-f127.0.0.1,{port}",
        "--errorlog-file",
        str(folder / "error.log"),
        str(key),
        str(certificate),
    ]
    with _running(command, port, folder):
        yield f"https://127.0.0.1:{port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _running(command: Sequence[str], port: int, folder: Path) -> Generator[None, None, None]:
    said = folder / "said"
    with said.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _await(process, port, said)
            yield
        finally:
            process.kill()


def _await(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    """Wait until the port accepts connections."""
    due = time.monotonic() + PATIENCE
    while time.monotonic() < due and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"{process.args!r} does not listen: {said.read_text('utf-8', 'replace')}")
