"""The agent of examples/agent_page in pages with `useChat` and with AG-UI's agent, in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.agent_page import agent
from tests.browser import example_agent
from tests.browser.bundled import routes_of
from tests.support.node import bundle, node_with
from tests.support.served import by_uvicorn
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser]


@pytest.fixture(scope="module")
def script() -> bytes:
    folder, node = node_with("esbuild", "react-dom", "@ag-ui/client", "@ai-sdk/react", "ai")
    production = '--define:process.env.NODE_ENV="production"'
    return bundle(Path(__file__).with_name("approvals.jsx"), folder, node, "--jsx=automatic", production)


@pytest.fixture
def url(script: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    app = example_agent.make_app()
    app.routes.extend(routes_of(script))
    with testing.serve(example_agent.play_model) as model:
        monkeypatch.setattr(agent, "BASE", f"{model.url}/v1")
        with by_uvicorn(app, lifespan="on") as served:
            yield served


@pytest.mark.parametrize("interface", ["use-chat", "ag-ui"])
@pytest.mark.parametrize(
    "decision, result", [("Approve", "deleted milk"), ("Deny", "The user has denied this call.")]
)
def test_a_user_decides_about_a_call_and_sees_its_result(
    page: Page, url: str, interface: str, decision: str, result: str
) -> None:
    page.goto(f"{url}?{interface}")
    page.get_by_text("Ask", exact=True).click()
    button = page.get_by_text(f"{decision} milk")
    button.wait_for()
    assert page.locator("output").inner_text() == ""
    button.click()
    page.get_by_text(f"The tool says: {result}").wait_for()

    assert page.locator("output").inner_text() == result
    assert page.locator("button").all_inner_texts() == ["Ask"]
