"""The agent of examples/agent_page in Chromium, with a scripted model: approval, denial, reloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.programs import serving, write_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

needed("fastapi")
pytestmark = pytest.mark.slow

_DELETES = testing.script().text("Let me do it. ").tool_call("delete_note", ('{"ti', 'tle":', ' "mi', 'lk"}'))
_READS = testing.script().tool_call("read_notes", {})
_KEEP_ARGUMENTS = """new MutationObserver(() => {
  const written = document.querySelector(".arguments")?.textContent;
  if (written) (window.written ??= new Set()).add(written);
}).observe(document, { subtree: true, childList: true, characterData: true })"""


def _model(request: testing.Request) -> testing.Script:
    """Call the tool that the question is about; afterwards, say what became of it."""
    last = request.json["messages"][-1]
    if last["role"] == "tool":
        return testing.script().text("The tool says: ", last["content"]).finish()
    return (_READS if last["content"] == "Read" else _DELETES).finish("tool_calls")


@pytest.fixture
def model() -> Iterator[testing.Server]:
    with testing.serve(_model, fault=testing.faults.slow(0.05)) as server:
        yield server


@pytest.fixture
def url(model: testing.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("agent_page")
    write_program("agent-page", folder)
    command = ("-m", "uvicorn", "examples.agent_page.app:app", "--port", "{port}")
    with serving(folder, *command, OPENAI_BASE_URL=f"{model.url}/v1") as address:
        yield address


def _ask(page: Page, url: str, question: str) -> None:
    page.goto(url)
    page.locator("body[data-ready]").wait_for()
    page.locator("input").fill(question)
    page.get_by_text("Ask", exact=True).click()


def _shown(page: Page) -> tuple[str, str]:
    page.locator("article[data-state=complete]").wait_for()
    assert page.locator(".decision").is_hidden()
    return page.locator(".result").inner_text(), page.locator(".parts > p").last.inner_text()


def test_a_call_runs_after_it_was_approved(page: Page, url: str, model: testing.Server) -> None:
    page.add_init_script(_KEEP_ARGUMENTS)
    _ask(page, url, "Delete")
    page.get_by_text("Approve").wait_for()
    assert page.evaluate("[...window.written]")[-1] == '{"title": "milk"}'
    assert page.evaluate("window.written.size") > 1
    page.reload()
    page.get_by_text("Approve").wait_for()
    assert page.locator(".arguments").inner_text() == '{"title": "milk"}'
    assert page.locator(".result").inner_text() == ""
    assert 1 == len(model.requests)

    other = page.context.new_page()
    other.goto(url)
    other.get_by_text("Approve").wait_for()
    page.get_by_text("Approve").click()
    for each in (page, other):
        assert ("deleted milk", "The tool says: deleted milk") == _shown(each)
        assert "Let me do it." == each.locator(".parts > p").first.inner_text()
    told = model.requests[-1].json["messages"]
    assert ["user", "assistant", "tool"] == [message["role"] for message in told]
    assert "deleted milk" == told[-1]["content"]


def test_a_call_that_was_denied_does_not_run_and_the_model_is_told(
    page: Page, url: str, model: testing.Server
) -> None:
    """The note is still there for the next question."""
    _ask(page, url, "Delete")
    page.get_by_text("Deny").click()
    denied = "The user has denied this call."
    assert (denied, f"The tool says: {denied}") == _shown(page)
    assert 1 == page.locator(".call.failed").count()
    assert denied == model.requests[-1].json["messages"][-1]["content"]

    page.locator("input").fill("Read")
    page.get_by_text("Ask", exact=True).click()
    page.locator("article:nth-of-type(2)[data-state=complete]").wait_for()
    result = page.locator("article:nth-of-type(2) .result").inner_text()
    assert "Buy milk." == json.loads(result)["milk"]
    page.reload()
    page.locator("article:nth-of-type(2)[data-state=complete]").wait_for()
    assert [denied, result] == page.locator(".result").all_inner_texts()


def test_nobody_else_can_decide_and_a_decision_is_final(page: Page, chromium: Browser, url: str) -> None:
    _ask(page, url, "Delete")
    page.get_by_text("Approve").wait_for()
    [turn] = page.request.get(f"{url}/api/answers").json()
    address = f"{url}/api/answers/{turn['id']}"
    with page.expect_request("**/requests/*") as sent:
        page.get_by_text("Deny").click()
    decision = {"approved": True}
    with chromium.new_context() as stranger:
        assert [] == stranger.request.get(f"{url}/api/answers").json()
        assert 404 == stranger.request.get(address).status
        assert 404 == stranger.request.post(sent.value.url, data=decision).status
        assert {"state": "unknown"} == stranger.request.post(f"{address}/stop").json()
    assert page.request.post(sent.value.url, data=decision).status in {404, 409}

    assert "The user has denied this call." == _shown(page)[0]


def test_a_question_is_refused_while_the_agent_waits_and_stop_ends_it(page: Page, url: str) -> None:
    """The buttons go away, and the next question is answered."""
    _ask(page, url, "Delete")
    page.get_by_text("Approve").wait_for()
    assert 409 == page.request.post(f"{url}/api/answers", data={"question": "Read"}).status
    page.get_by_text("Stop").click()
    page.locator("article[data-state=stopped]").wait_for()
    assert page.locator(".decision").is_hidden()

    page.locator("input").fill("Read")
    page.get_by_text("Ask", exact=True).click()
    page.locator("article:nth-of-type(2)[data-state=complete]").wait_for()
    assert "Buy milk." in page.locator("article:nth-of-type(2) .result").inner_text()
