"""Photograph the chat of examples/chat in the middle of its answers: writes browser.png in docs/pictures.

    python docs/_programs/browser_picture.py [FILE]

Needs FastAPI, uvicorn, Playwright and Debian's Chromium. The picture is of a real run: its text,
its tool call and its form are as they had come by then, and one answer has broken off.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parents[1] / "pictures" / "browser.png"


def await_server(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def photograph(url: str, file: Path) -> None:
    """Ask four questions, and take the picture when the form is half full."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 760, "height": 1340})
        page.goto(url)
        page.locator("body[data-ready]").wait_for()
        for at, question in enumerate(["a tool call", "an answer that breaks", "a long answer", "a form"], 1):
            page.get_by_text(question, exact=True).click()
            page.locator("article").nth(at - 1).wait_for()
        page.locator(".steps li").nth(2).wait_for()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=file)
        browser.close()


@contextmanager
def serve(**settings: str) -> Generator[int, None, None]:
    """Serve the chat, and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "examples.chat.app:app", "--port", str(port)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, **settings}
    server = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=environment)
    try:
        await_server(f"http://127.0.0.1:{port}")
        yield port
    finally:
        server.terminate()
        server.wait()


def main(file: Path) -> None:
    """Serve the chat, and photograph it."""
    with serve() as port:
        photograph(f"http://127.0.0.1:{port}", file)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FILE)
