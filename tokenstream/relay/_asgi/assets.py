"""The browser's reader, served as static files."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokenstream.errors import MisuseError
from tokenstream.relay._asgi.refusals import WholeResponse, encode_headers

if TYPE_CHECKING:
    from tokenstream.relay._asgi.response import Receive, Scope, Send

_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    # Browsers do not load type declarations; editors may.
    ".ts": "text/plain; charset=utf-8",
}


class Assets:
    """The files of the browser's reader, as an ASGI application to mount."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        """The folder with the files, for frameworks and servers that serve folders themselves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise MisuseError(f"assets are sent over HTTP, and this is {scope['type']!r}")
        await self._respond(scope)(scope, receive, send)

    def _respond(self, scope: Scope) -> WholeResponse:
        if scope["method"] not in {"GET", "HEAD"}:
            return WholeResponse(405, encode_headers({"allow": "GET, HEAD", "content-length": "0"}))
        # The folder is flat. Litestar ends the path of what it mounts with a slash.
        name: str = scope["path"].rstrip("/").rpartition("/")[2]
        # A name is looked up among the files' names and never joined to a path, so none leads elsewhere.
        path = {path.name: path for path in self.directory.iterdir()}.get(name)
        content_type = None if path is None else _CONTENT_TYPES.get(path.suffix)
        if path is None or content_type is None:
            return WholeResponse(404, encode_headers({"content-length": "0"}))
        body = path.read_bytes()
        etag = f'"{sha256(body).hexdigest()[:32]}"'
        # The files import each other by their names, which stay the same in the next version: a browser
        # asks each time, and learns that nothing has changed.
        headers = {"etag": etag, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
        given = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
        # Weak tags count as strong ones.
        if etag in {tag.strip().removeprefix("W/") for tag in given.decode("latin-1").split(",")}:
            return WholeResponse(304, encode_headers(headers))
        headers |= {"content-type": content_type, "content-length": str(len(body))}
        return WholeResponse(200, encode_headers(headers), body)


assets: Final = Assets(Path(__file__).parent.parent / "browser")
"""The files of the browser's reader: an ASGI application that serves them and nothing else; mount it.

After `app.mount("/tokenstream", relay.assets)`, a page imports `/tokenstream/tokenstream.js`.
`relay.assets.directory` is the folder of the files, for everything else that serves or bundles files.
"""
