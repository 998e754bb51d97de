"""Photograph a page that loses its connection and goes on: writes resumed.png in docs/pictures.

    python docs/_programs/resumed_picture.py [FILE]

Needs FastAPI, uvicorn, Playwright and Debian's Chromium. The pictures are of a real run of
examples/chat: its connections are reset in the middle of an answer, and no network is there for a while.
"""

from __future__ import annotations

import base64
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from browser_picture import serve
from playwright.sync_api import Browser, sync_playwright

FILE = Path(__file__).parents[1] / "pictures" / "resumed.png"
_WIDTH, _HEIGHT = 330, 520
_QUESTION = "How does a river go around a stone?"


class Network:
    """A network between the browser and the server, which resets its connections when told to."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = list[socket.socket]()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """End all connections."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            browser, _ = self._listener.accept()
            server = socket.create_connection(self._server)
            self._sockets += [browser, server]
            for ways in ((browser, server), (server, browser)):
                threading.Thread(target=self._carry, args=ways, daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def photograph(browser: Browser, network: Network) -> dict[str, bytes]:
    """Return pictures of the page in the middle of an answer, without a network, and when it is back."""
    context = browser.new_context(viewport={"width": _WIDTH, "height": _HEIGHT})
    page = context.new_page()
    page.goto(network.url)
    page.locator("body[data-ready]").wait_for()
    # The pictures are of the answer alone.
    page.evaluate(
        "for (const place of ['header', '#ask']) document.querySelector(place).style.display = 'none'"
    )
    page.evaluate("text => document.querySelector(`[data-question='${text}']`).click()", _QUESTION)
    page.get_by_text("mind a stone").wait_for()
    pictures = {"The answer arrives.": page.screenshot()}
    context.set_offline(True)
    network.reset()
    page.get_by_text("no connection").wait_for()
    time.sleep(2)
    pictures["The phone is in a tunnel. The server reads on."] = page.screenshot()
    context.set_offline(False)
    page.get_by_text("where fish rest").wait_for()
    pictures["Back: the rest arrives, each event once."] = page.screenshot()
    context.close()
    return pictures


def side_by_side(browser: Browser, pictures: dict[str, bytes], file: Path) -> None:
    """Write one picture of several, each below its words."""
    shown = "".join(
        f"<figure><figcaption>{words}</figcaption>"
        f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}"></figure>'
        for words, picture in pictures.items()
    )
    style = (
        "body{margin:0;padding:12px;display:flex;gap:12px;background:#e5e7eb;font:14px system-ui}"
        "figure{margin:0}figcaption{padding:0 0 8px 4px;color:#1f2937}img{border-radius:10px;display:block}"
    )
    size = {"width": len(pictures) * (_WIDTH + 12) + 12, "height": _HEIGHT + 50}
    page = browser.new_page(viewport={"width": size["width"], "height": size["height"]})
    page.set_content(f"<style>{style}</style>{shown}")
    page.screenshot(path=file)


def main(file: Path) -> None:
    """Serve the chat, and photograph it."""
    with serve(CHAT_PACE="0.05") as port, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        side_by_side(browser, photograph(browser, Network(port)), file)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FILE)
