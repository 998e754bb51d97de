"""The pages of examples/ as their users meet them: seen, heard, typed at, and before a backend that fails."""

from __future__ import annotations

import re
from contextlib import ExitStack, nullcontext
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
    from collections.abc import Iterator

    from playwright.sync_api import ConsoleMessage, Locator, Page

pytestmark = [pytest.mark.browser]

_EXAMPLES = ("agent_page", "chat", "use_chat")
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


_ABOVE = """() => {
  const text = [...document.querySelectorAll("article .text")].at(-1).getBoundingClientRect();
  return text.bottom <= document.querySelector("#ask").getBoundingClientRect().top;
}"""
_LOOK = """() => {
  const [body, input] = [document.body, document.querySelector("input")].map(each => getComputedStyle(each));
  return [body.font, input.font, getComputedStyle(document.documentElement).colorScheme];
}"""


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
            return script.recording().with_fault(testing.faults.status(401))
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
    return Starlette(routes=routes, lifespan=lambda _: app.lifespan(app.app))


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
def said(page: Page) -> list[str]:
    """What the page prints as errors and warnings in the console, without failed requests."""
    found = list[str]()

    def note(message: ConsoleMessage) -> None:
        # The browser itself prints that a request has failed.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(error.message))
    return found


def _visit(page: Page, url: str, *, resumes: bool) -> None:
    """Open a page, and wait until it can be asked."""
    page.add_init_script(_LISTEN)
    with page.expect_response("**/stream") if resumes else nullcontext():
        page.goto(url)
    _input(page).wait_for()


def _input(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Question")


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name).last


def _ask(page: Page, question: str) -> None:
    _input(page).fill(question)
    _button(page, "Ask").click()


def _hears(page: Page, words: str, times: int = 1) -> None:
    """Wait until a live region has said words so many times."""
    page.wait_for_function(
        "([words, times]) => heard.filter(each => each === words).length === times", arg=[words, times]
    )


def _wait_for_alert(page: Page) -> None:
    page.get_by_role("alert").filter(has_text=re.compile(r"\w")).last.wait_for()


def _press(page: Page, key: str, target: Locator) -> None:
    """Press Tab until an element has the focus, and then a key."""
    target.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            page.keyboard.press(key)
            return
    pytest.fail(f"Tab does not lead to {target}")


@pytest.mark.parametrize("scheme, width", [("light", 800), ("dark", 800), ("light", 390)])
@pytest.mark.parametrize("example", _EXAMPLES)
def test_axe_finds_nothing(
    page: Page, urls: dict[str, str], said: list[str], example: str, scheme: Any, width: int
) -> None:
    """Empty, while a call waits, with answers, with one that broke off, and while the backend is away."""
    npm, _ = node_with("axe-core")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    _visit(page, urls[example], resumes=example == "use_chat")
    page.evaluate((npm / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
    wrong = {"empty": page.evaluate(_WRONG)}
    _ask(page, "Delete my note" if example == "agent_page" else "How does it flow?")
    if example == "agent_page":
        _hears(page, "waiting for your decision")
        wrong["waiting"] = page.evaluate(_WRONG)
        _button(page, "Approve").click()
    _hears(page, "answered")
    if example == "chat":
        page.get_by_text("Reasoning").click()
        for count, button in enumerate(["a tool call", "a form"], 2):
            _button(page, button).click()
            _hears(page, "answered", count)
    wrong["answered"] = page.evaluate(_WRONG)
    _ask(page, "Does it break?")
    _wait_for_alert(page)
    wrong["broken"] = page.evaluate(_WRONG)
    page.route("**/api/**", lambda request: request.abort())
    _button(page, "Try again").click()
    _wait_for_alert(page)
    wrong["away"] = page.evaluate(_WRONG)

    assert wrong == {state: [] for state in wrong}
    assert said == []


@pytest.mark.parametrize("example", _EXAMPLES)
def test_a_screen_reader_hears_that_an_answer_is_written_and_then_that_it_is_there(
    page: Page, urls: dict[str, str], model: Model, said: list[str], example: str
) -> None:
    _visit(page, urls[example], resumes=example == "use_chat")
    _ask(page, "Go slowly")
    busy = page.locator("article[aria-busy=true]")
    busy.get_by_text("nothing is loaded").wait_for()
    assert page.evaluate("heard") == ["writing …"]
    model.go_on()
    _hears(page, "answered")

    assert busy.count() == 0
    assert page.evaluate("heard") == ["writing …", "answered"]
    assert said == []


@pytest.mark.parametrize("example", _EXAMPLES)
def test_the_keyboard_is_enough(
    page: Page, urls: dict[str, str], model: Model, said: list[str], example: str
) -> None:
    _visit(page, urls[example], resumes=example == "use_chat")
    _press(page, "G", _input(page))
    page.keyboard.type("o slowly")
    page.keyboard.press("Enter")
    _press(page, "Enter", _button(page, "Stop"))
    _button(page, "Stop").wait_for(state="hidden")
    model.go_on()
    _press(page, "D", _input(page))
    page.keyboard.type("elete it")
    _press(page, "Space", _button(page, "Ask"))
    if example == "agent_page":
        _press(page, "Space", _button(page, "Approve delete_note"))
    page.get_by_text("The tool says:" if example == "agent_page" else "Let me do it.").wait_for()

    assert said == []


def _is_in(page: Page, place: str) -> None:
    """Wait until the keyboard is within an element."""
    page.wait_for_function("place => document.activeElement.closest(place)", arg=place)


@pytest.mark.parametrize("button", ["Approve delete_note", "Deny delete_note", "Stop"])
def test_the_keyboard_stays_in_the_conversation_with_an_agent(
    page: Page, urls: dict[str, str], button: str
) -> None:
    """A button that goes away does not take it to the top of the page."""
    _visit(page, urls["agent_page"], resumes=False)
    _ask(page, "Delete it")
    _button(page, "Approve").wait_for()
    _press(page, "Enter", _button(page, button))
    _button(page, button).wait_for(state="hidden")

    _is_in(page, "article")


@pytest.mark.parametrize("example", _EXAMPLES)
def test_the_keyboard_stays_in_a_chat(page: Page, urls: dict[str, str], model: Model, example: str) -> None:
    _visit(page, urls[example], resumes=example == "use_chat")
    _ask(page, "Does it break?")
    _press(page, "Enter", _button(page, "Try again"))
    _is_in(page, "article, section")
    _wait_for_alert(page)
    _ask(page, "Go slowly")
    _press(page, "Enter", _button(page, "Stop"))
    _button(page, "Stop").wait_for(state="hidden")
    model.go_on()

    _is_in(page, "article, section")


def test_a_chat_follows_its_text_until_its_reader_scrolls(
    page: Page, urls: dict[str, str], model: Model
) -> None:
    """The newest words are above the form, also on a phone."""
    page.set_viewport_size({"width": 390, "height": 600})
    _visit(page, urls["chat"], resumes=False)
    _ask(page, "Go slowly")
    last = page.locator("article .text").last
    last.get_by_text("nothing is loaded").wait_for()
    page.wait_for_function(_ABOVE)
    place = page.evaluate("(scrollBy(0, -400), scrollY)")
    # The page hears of it a frame later.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    model.go_on()
    last.get_by_text("At last.").wait_for()
    assert place == page.evaluate("scrollY")


def test_a_question_that_is_refused_says_why(page: Page, urls: dict[str, str]) -> None:
    _visit(page, urls["chat"], resumes=False)
    page.route(
        "**/turns", lambda route: route.fulfill(status=429, json={"error": {"message": "8 are running"}})
    )
    _ask(page, "How does it flow?")
    page.get_by_text("It could not be asked: 8 are running").wait_for()


def test_the_three_pages_look_alike(page: Page, urls: dict[str, str]) -> None:
    looks = list[object]()
    for example in _EXAMPLES:
        page.goto(urls[example])
        _input(page).wait_for()
        looks.append(page.evaluate(_LOOK))

    assert [looks[0]] * 3 == looks


@pytest.mark.parametrize(
    "trouble",
    ["loading fails", "loading is refused", "asking fails", "asking is refused", "the model refuses"],
)
@pytest.mark.parametrize("example", _EXAMPLES)
def test_what_fails_is_reported_and_can_be_tried_again(
    page: Page, urls: dict[str, str], said: list[str], example: str, trouble: str
) -> None:
    """A backend that is away or answers with status 503, and one whose provider does."""

    def make_trouble() -> None:
        if "model" not in trouble:
            refuses = "refused" in trouble
            page.route("**/api/**", lambda route: route.fulfill(status=503) if refuses else route.abort())

    # A refused question is repeated for a minute.
    page.add_init_script(
        "const wait = setTimeout; window.setTimeout = (go, ms) => wait(go, ms > 12000 ? ms : ms / 20);"
    )
    question = f"Is {example} sick?" if "model" in trouble else "How does it flow?"
    if "loading" in trouble:
        make_trouble()
        page.goto(urls[example])
    else:
        _visit(page, urls[example], resumes=example == "use_chat")
        make_trouble()
        _ask(page, question)
    _wait_for_alert(page)
    page.unroute("**/api/**")
    _press(page, "Enter", _button(page, "Try again"))
    if "loading" in trouble:
        _ask(page, question)
    page.get_by_text("nothing is loaded").wait_for()

    assert _button(page, "Try again").count() == 0
    assert said == []


@pytest.mark.parametrize("fragment", ["#../../x", "#..", "#%2e%2e", "#a?b", "#a%2Fb"])
def test_the_hash_of_a_page_of_use_chat_is_no_path(page: Page, urls: dict[str, str], fragment: str) -> None:
    """Whoever makes a link to the page chooses no address that it asks."""
    _visit(page, urls["use_chat"] + fragment, resumes=True)
    _ask(page, "How does it flow?")
    _hears(page, "answered")
    # An entry comes once its response is over.
    page.wait_for_function("performance.getEntriesByType('resource').length > 3")
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
    )
    strange = [path for path in asked if not re.fullmatch(r"/bundle.js|/api/chat(/[\w-]+(/stream)?)?", path)]

    assert strange == []
