"""The browser's reader as Python serves it: its files and no others, over real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import flask
import httpx
import litestar
import pytest
from litestar.static_files import create_static_files_router
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.support.served import by_uvicorn, by_wsgi
from tokenstream import relay
from tokenstream.errors import MisuseError

MAIN = "tokenstream.js"


def _serve_flask_file(name: str) -> flask.Response:
    return flask.send_from_directory(relay.assets.directory, name)


def _litestar_mount() -> litestar.Litestar:
    mounted: Any = litestar.asgi("/files", is_mount=True, copy_scope=True)(relay.assets)
    return litestar.Litestar([mounted], logging_config=None)


FRAMEWORKS: dict[str, Callable[[], Any]] = {
    "starlette": lambda: Starlette(routes=[Mount("/files", relay.assets)]),
    "starlette, twice": lambda: Starlette(
        routes=[Mount("/files", Starlette(routes=[Mount("/", relay.assets)]))]
    ),
    "starlette, the folder": lambda: Starlette(
        routes=[Mount("/files", StaticFiles(directory=relay.assets.directory))]
    ),
    "litestar": _litestar_mount,
    "litestar, the folder": lambda: litestar.Litestar(
        [create_static_files_router("/files", directories=[relay.assets.directory])], logging_config=None
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of the files, which uvicorn serves without any framework."""
    with by_uvicorn(relay.assets) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_frameworks_serve_the_files_as_javascript(framework: str) -> None:
    with by_uvicorn(FRAMEWORKS[framework]()) as url:
        answer = httpx.get(f"{url}files/{MAIN}")
        missing = httpx.get(f"{url}files/none.js")

    assert (answer.status_code, missing.status_code) == (200, 404)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.content == (relay.assets.directory / MAIN).read_bytes()


def test_flask_serves_the_folder() -> None:
    """A framework without ASGI serves the files as it serves others."""
    app = flask.Flask(__name__)
    app.add_url_rule("/files/<name>", view_func=_serve_flask_file)
    with by_wsgi(app) as url:
        answer = httpx.get(f"{url}files/{MAIN}")

    assert answer.content == (relay.assets.directory / MAIN).read_bytes()


_DJANGO = """
import django
from django.conf import settings
from tokenstream import relay

folders = [("tokenstream", relay.assets.directory)]
apps = ["django.contrib.staticfiles"]
settings.configure(INSTALLED_APPS=apps, STATIC_URL="/static/", STATICFILES_DIRS=folders)
django.setup()
from django.contrib.staticfiles import finders

print(finders.find("tokenstream/tokenstream.js"))
"""


@pytest.mark.slow
def test_django_finds_the_folder_among_its_static_files() -> None:
    """Django has one configuration for each process."""
    done = subprocess.run([sys.executable, "-c", _DJANGO], capture_output=True, encoding="utf-8", check=True)

    assert done.stdout.strip() == str(relay.assets.directory / MAIN)


def test_every_file_has_its_type(client: httpx.Client) -> None:
    """A module of another type is refused by browsers."""
    types = {
        path.name: client.get(path.name).headers["content-type"] for path in relay.assets.directory.iterdir()
    }
    kinds = {name.rpartition(".")[2]: given.partition(";")[0] for name, given in types.items()}

    assert MAIN in types
    assert kinds == {"js": "text/javascript", "json": "application/json", "ts": "text/plain"}


def test_a_browser_asks_again_and_is_sent_nothing_twice(client: httpx.Client) -> None:
    """`If-None-Match` in each of its forms; `HEAD` has the headers alone."""
    whole = client.get(MAIN)
    etag = whole.headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}'):
        same = client.get(MAIN, headers={"if-none-match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    other = client.get(MAIN, headers={"if-none-match": '"other"'})
    head = client.head(MAIN)

    assert whole.headers["cache-control"] == "no-cache"
    assert other.content == whole.content
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


def test_nothing_else_is_served(client: httpx.Client) -> None:
    """No folder, no file beside it, however a path is written; and no other method."""
    beside = "../__init__.py"
    for path in ("/", "/.", "/..", f"/{beside}", "/..%2f__init__.py", "/%2e%2e/__init__.py", "//etc/passwd"):
        with httpx.Client() as other:
            request = other.build_request("GET", client.base_url)
            request.url = request.url.copy_with(raw_path=path.encode())
            assert other.send(request).status_code == 404, path
    refused = client.post(MAIN)

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.anyio
async def test_another_scope_is_a_mistake() -> None:
    """A WebSocket that was routed here by mistake is told so."""
    unused: Any = None

    with pytest.raises(MisuseError, match="websocket"):
        await relay.assets({"type": "websocket"}, unused, unused)
