"""The cookbook's page and route handler in Next.js, in front of its relay, in Chromium."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.programs import write_page
from tests.cookbook.relays import Relay, relaying
from tests.support.node import node_with
from tests.support.proxies import free_port
from tests.support.served import wait_until_it_answers
from tests.support.timing import wait_for

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.slow
"""A build by Next.js takes half a minute."""

_LAYOUT = """export default function Layout({ children }: { children: React.ReactNode }) {
  return <html lang="en"><body>{children}</body></html>;
}
"""
"""What `create-next-app` makes."""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    command = ("-m", "uvicorn", "nextjs_relay:app", "--port", "{port}")
    with relaying("nextjs", tmp_path_factory.mktemp("relay"), *command) as running:
        yield running


class _Next:
    """Next.js with the page and the route handler, built, and types checked."""

    def __init__(self, folder: Path) -> None:
        npm, node = node_with(
            "next", "react-dom", "typescript", "@types/node", "@types/react", "ai", "@ai-sdk/react"
        )
        self._command = [node, str(npm / "node_modules" / "next" / "dist" / "bin" / "next")]
        self._folder = folder
        self._environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1", "NO_PROXY": "*"}
        (folder / "node_modules").symlink_to(npm / "node_modules")
        (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
        (folder / "app" / "api" / "chat").mkdir(parents=True)
        (folder / "app" / "layout.tsx").write_text(_LAYOUT, encoding="utf-8")
        write_page("nextjs", folder / "app", "page.tsx", "tsx")
        write_page("nextjs", folder / "app" / "api" / "chat", "route.ts", "ts")
        # Its other bundler wants all packages within the project.
        built = self._run("build", "--webpack")
        said, _ = built.communicate(timeout=240)
        assert built.returncode == 0, said.decode()

    @contextmanager
    def serving(self, relay: str) -> Generator[str]:
        """Serve what was built, in front of a relay; the context has its address."""
        port = str(free_port())
        server = self._run("start", "--hostname", "127.0.0.1", "--port", port, RELAY_URL=relay)
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/", server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.kill()
            server.communicate()

    def _run(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, *arguments],
            cwd=self._folder,
            env={**self._environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> _Next:
    return _Next(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def url(project: _Next, relay: Relay) -> Iterator[str]:
    with project.serving(str(relay.browser.base_url).rstrip("/")) as address:
        yield address


def _ask(page: Page, url: str, question: str) -> Locator:
    page.goto(url)
    page.locator("input").fill(question)
    page.locator("input").press("Enter")
    return page.locator(".assistant")


def test_an_answer_arrives_while_the_provider_pauses(page: Page, url: str, relay: Relay) -> None:
    """Nothing on the way waits for more of it; when the user stops it, the provider is left."""
    answer = _ask(page, url, "Fall silent")
    answer.get_by_text("word").wait_for()
    assert "answering" == relay.provider.exchanges[-1].outcome
    page.get_by_text("Stop").click()
    page.get_by_text("Stop").wait_for(state="detached")

    assert "abandoned" == relay.outcome()
    assert "word " == answer.text_content()
    assert page.get_by_text("broke off").count() == 0


def test_the_provider_is_left_before_its_answer_has_begun(page: Page, url: str, relay: Relay) -> None:
    """The relay's response hasn't begun either when the page is closed."""
    asked = len(relay.provider.exchanges)
    _ask(page, url, "Be silent")
    wait_for(lambda: len(relay.provider.exchanges) > asked)
    page.close()

    assert "abandoned" == relay.outcome()


def test_a_broken_answer_stays_until_it_is_asked_for_again(page: Page, url: str) -> None:
    answer = _ask(page, url, "Break")
    page.get_by_text("Try again").wait_for()
    assert "The sky " == answer.text_content()

    page.get_by_text("Try again").click()
    answer.get_by_text("The sky is blue.").wait_for()
    assert 1 == answer.count()
    assert page.get_by_text("Try again").count() == 0


def test_the_page_gets_the_status_and_the_headers_of_the_relay(page: Page, url: str) -> None:
    """The provider refuses the request, and the page says so; an answer has the headers of a stream."""
    with page.expect_response("**/api/chat") as refused:
        _ask(page, url, "Refuse")
    page.get_by_text("broke off").wait_for()
    assert (429, True) == (refused.value.status, refused.value.json()["error"]["retryable"])
    assert page.locator(".assistant").count() == 0

    with page.expect_response("**/api/chat") as sent:
        _ask(page, url, "Answer")
    assert "no-transform" in sent.value.headers["cache-control"]
    assert "content-encoding" not in sent.value.headers
    assert sent.value.headers["content-type"].startswith("text/event-stream")


def test_a_relay_that_is_away_is_an_error(page: Page, project: _Next) -> None:
    """The page is told nothing of where the relay was."""
    with project.serving("http://127.0.0.1:9") as url, page.expect_response("**/api/chat") as refused:
        _ask(page, url, "Answer")
        page.get_by_text("broke off").wait_for()

    assert 502 == refused.value.status
    assert "127.0.0.1" not in refused.value.text()
