"""The pages of examples/ as their users meet them: seen, heard, typed at, and before a backend that fails."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

import examples.agent_page.app
import examples.chat.app
import examples.use_chat.app
from examples.agent_page import agent
from examples.chat import replayed
from tests.browser.example_agent import play_model
from tests.cookbook.held import HELD, HeldServer
from tests.support.node import bundle, node_with
from tests.support.served import by_uvicorn
from tests.support.use_chat import make_project
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page
    from playwright.sync_api import Route as Request

    Visit = Callable[..., Page]

pytestmark = [pytest.mark.browser]

_EXAMPLES = ("agent_page", "chat", "use_chat")
_SETTINGS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
_QUESTIONS = {
    "agent_page": ["Delete my note"],
    "chat": ["How does it flow?", "What is the weather?"],
    "use_chat": ["How does it flow?"],
}
"""Questions whose answers show all that a page can show."""
_FRONT = """<!doctype html><html lang="en"><title>Chat</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<div id="root"></div><script type="module" src="bundle.js"></script>"""
_WRONG = """async () => {
  const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  for (const control of document.querySelectorAll("button, input, summary")) {
    const { width, height } = control.getBoundingClientRect();
    if (control.checkVisibility() && Math.min(width, height) < 24) found.push(`small: ${control.outerHTML}`);
  }
  return found;
}"""
_LISTEN = """
const live = "[aria-live], [role=alert], [role=status], [role=log], output";
window.heard = [];
new MutationObserver(changes => {
  for (const { target, addedNodes, type } of changes) {
    for (const node of type === "characterData" ? [target] : addedNodes) {
      const element = node.parentElement ?? node;
      const places = element.closest?.(live) ? [node] : node.querySelectorAll?.(live) ?? [];
      heard.push(...[...places].map(place => place.textContent).filter(text => text));
    }
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


class Model(HeldServer):
    """A provider that refuses each question about sickness once, and holds answers that are wanted slowly."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self._refused = set[str]()

    def answer(self, request: testing.Request) -> testing.Recording | testing.Script:
        question = request.json["messages"][-1]["content"]
        script = testing.script().text(*replayed.LONG.splitlines(keepends=True))
        if "sick" in question and question not in self._refused:
            self._refused.add(question)
            return script.recording().with_fault(testing.faults.status(503))
        if "break" in question:
            return script.recording().with_fault(testing.faults.cut(at=0.5))
        if "slowly" in question:
            return script.silence(HELD).text("At last.").finish()
        agents = "Delete" in question or request.json["messages"][-1]["role"] == "tool"
        return play_model(request) if agents else replayed.answer(request)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model() as server:
        yield server


@pytest.fixture(scope="module")
def use_chat(tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    """The backend of use_chat with its page, bundled as an application does, at one origin."""
    npm, node = node_with("esbuild", "react-dom", "@ai-sdk/react", "ai")
    script = bundle(make_project(tmp_path_factory.mktemp("page"), npm, ""), npm, node, "--jsx=automatic")
    app = examples.use_chat.app
    routes = [
        Route("/", lambda _: HTMLResponse(_FRONT)),
        Route("/bundle.js", lambda _: Response(script, media_type="text/javascript")),
        Mount("/", app.app),
    ]
    return Starlette(routes=routes, lifespan=app.lifespan)


@pytest.fixture(scope="module")
def urls(model: Model, use_chat: Starlette) -> Iterator[dict[str, str]]:
    """The addresses of the pages, whose backends all ask one model."""
    apps = [examples.agent_page.app.app, examples.chat.app.app, use_chat]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as servers:
        patch.setattr(examples.chat.app, "URL", f"{model.url}/v1/chat/completions")
        for module in (agent, examples.use_chat.app):
            patch.setattr(module, "BASE", f"{model.url}/v1")
        made = [servers.enter_context(by_uvicorn(app, lifespan="on")) for app in apps]
        yield dict(zip(_EXAMPLES, made, strict=True))


@pytest.fixture
def said() -> list[str]:
    """What the pages of a test print as errors and warnings in the console."""
    return []


@pytest.fixture
def visit(chromium: Browser, urls: dict[str, str], said: list[str]) -> Iterator[Visit]:
    """Return a function that opens an example in a browser of its own."""
    npm, _ = node_with("axe-core")
    with ExitStack() as contexts:

        def visit(
            example: str, *, fragment: str = "", before: Callable[[Page], None] | None = None, **setting: Any
        ) -> Page:
            context = contexts.enter_context(chromium.new_context(**setting))
            context.set_default_timeout(60_000)
            context.add_init_script(_LISTEN)
            context.add_init_script(path=npm / "node_modules" / "axe-core" / "axe.min.js")
            page = context.new_page()
            page.on(
                "console", lambda each: said.append(each.text) if each.type in ("error", "warning") else None
            )
            page.on("pageerror", lambda error: said.append(error.message))
            if before:
                before(page)
                page.goto(urls[example])
            elif example == "use_chat":
                # It asks for an answer to resume.
                with page.expect_response("**/stream"):
                    page.goto(urls[example] + fragment)
            else:
                page.goto(urls[example])
            return page

        yield visit


def _input(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Question")


def _ask(page: Page, question: str) -> None:
    """Ask by the button that sends, once the page is ready."""
    _input(page).fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def _hears(page: Page, words: str, times: int = 1) -> None:
    """Wait until a live region has said words so many times."""
    page.wait_for_function(
        "([words, times]) => heard.filter(each => each === words).length === times", arg=[words, times]
    )


def _again(page: Page) -> Locator:
    return page.get_by_role("button", name="Try again").last


def _alert(page: Page) -> str:
    """Return the line that says what has failed, once it is there."""
    alert = page.get_by_role("alert").filter(has_text=re.compile(r"\S")).last
    alert.wait_for()
    return alert.inner_text()


def _press_to(page: Page, target: Locator) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not lead to {target}")


@pytest.mark.parametrize("setting", _SETTINGS)
@pytest.mark.parametrize("example", _EXAMPLES)
def test_axe_finds_nothing(visit: Visit, said: list[str], example: str, setting: str) -> None:
    """Empty, while a call waits, with answers, with one that broke off, and while the backend is away."""
    page = visit(example, **_SETTINGS[setting])
    _input(page).wait_for()
    wrong = {"empty": page.evaluate(_WRONG)}
    for count, question in enumerate(_QUESTIONS[example], 1):
        _ask(page, question)
        if "Delete" in question:
            _hears(page, "waiting for your decision")
            wrong["waiting"] = page.evaluate(_WRONG)
            page.get_by_role("button", name="Approve delete_note").click()
        _hears(page, "answered", count)
    if example == "chat":
        page.get_by_text("a form", exact=True).click()
        page.get_by_text("The first one is for the cook.").wait_for()
        page.get_by_text("Reasoning").first.click()
    wrong["answered"] = page.evaluate(_WRONG)
    assert said == []

    _ask(page, "Does it break?")
    _alert(page)
    wrong["broken"] = page.evaluate(_WRONG)
    page.route("**/api/**", lambda request: request.abort())
    _again(page).click()
    _alert(page)
    wrong["away"] = page.evaluate(_WRONG)
    assert wrong == {state: [] for state in wrong}


@pytest.mark.parametrize("example", _EXAMPLES)
def test_a_screen_reader_hears_that_an_answer_is_written_and_that_it_is_there(
    visit: Visit, model: Model, said: list[str], example: str
) -> None:
    """It does not hear the answer's pieces, which are marked as busy until the end."""
    page = visit(example)
    _ask(page, "Go slowly")
    busy = page.locator("article[aria-busy=true]")
    busy.get_by_text("nothing is loaded").wait_for()
    assert page.evaluate("heard") == ["writing …"]
    model.go_on()
    _hears(page, "answered")

    assert busy.count() == 0
    assert page.locator("article").last.inner_text().rstrip().endswith("At last.")
    assert page.evaluate("heard") == ["writing …", "answered"]
    assert said == []


@pytest.mark.parametrize("example", _EXAMPLES)
def test_the_keyboard_is_enough(visit: Visit, model: Model, said: list[str], example: str) -> None:
    """To type, to ask with Enter and with the button, to stop, and to approve."""
    page = visit(example)
    _press_to(page, _input(page))
    page.keyboard.type("Go slowly")
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="Stop")
    stop.wait_for()
    _press_to(page, stop)
    page.keyboard.press("Enter")
    stop.wait_for(state="hidden")
    model.go_on()
    _press_to(page, _input(page))
    page.keyboard.type("Delete it")
    _press_to(page, page.get_by_role("button", name="Ask", exact=True))
    page.keyboard.press("Space")
    if example == "agent_page":
        approve = page.get_by_role("button", name="Approve delete_note")
        approve.wait_for()
        _press_to(page, approve)
        page.keyboard.press("Space")
    _hears(page, "answered")

    assert said == []


def _fail(request: Request) -> None:
    request.fulfill(status=503, body="no server is there")


def _abort(request: Request) -> None:
    request.abort()


@pytest.mark.parametrize("when", ["loaded", "asked"])
@pytest.mark.parametrize("how", [_fail, _abort])
@pytest.mark.parametrize("example", _EXAMPLES)
def test_a_backend_that_is_away_is_told_and_tried_again(
    visit: Visit, said: list[str], example: str, how: Callable[[Request], None], when: str
) -> None:
    """It answers with status 503, or not at all; a button tries again what has failed."""

    def go_away(page: Page) -> None:
        page.route("**/api/**", how)

    if when == "loaded":
        page = visit(example, before=go_away)
    else:
        page = visit(example)
        _input(page).wait_for()
        go_away(page)
        _ask(page, "How does it flow?")
    assert _alert(page)
    page.unroute("**/api/**")
    _press_to(page, _again(page))
    page.keyboard.press("Enter")
    if when == "loaded":
        _ask(page, "How does it flow?")
    _hears(page, "answered")

    assert _again(page).count() == 0
    # The browser itself prints that a request has failed.
    assert [each for each in said if not each.startswith("Failed to load resource")] == []


@pytest.mark.parametrize("example", _EXAMPLES)
def test_a_provider_that_is_sick_is_told_and_asked_again(visit: Visit, said: list[str], example: str) -> None:
    page = visit(example)
    _ask(page, f"Is {example} sick?")
    assert _alert(page)
    _again(page).click()
    _hears(page, "answered")

    assert [each for each in said if not each.startswith("Failed to load resource")] == []


@pytest.mark.parametrize("fragment", ["#../../x", "#..", "#%2e%2e", "#a?b", "#a%2Fb"])
def test_the_hash_of_a_page_of_use_chat_is_no_path(visit: Visit, fragment: str) -> None:
    """Whoever makes a link to the page chooses no address that it asks."""
    page = visit("use_chat", fragment=fragment)
    _ask(page, "How does it flow?")
    _hears(page, "answered")
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
    )

    assert len(asked) > 3
    assert [
        path for path in asked if not re.fullmatch(r"/bundle.js|/api/chat(/[\w-]+(/stream)?)?", path)
    ] == []
