"""The relay of the cookbook in Django, behind uvicorn and the middleware that compresses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cookbook.programs import section_of
from tests.cookbook.relay_laws import AsyncRelayLaws, RelayLaws
from tests.cookbook.relays import Relay, asked, relaying
from tests.docs.pages import blocks
from tests.support.packages import needed

_COMMAND = ("django_relay.py", "runserver", "--noreload", "{port}")
_ASGI = ("-m", "uvicorn", "django_relay:application", "--port", "{port}")


def _asynchronous(code: str) -> str:
    """Return the program with the page's changes for ASGI, and what a project has for them."""
    (changes,) = blocks(section_of("django"), "diff")
    for removed, added in re.findall(r"^-(.+)\n((?:\+.+\n)+)", changes.code, re.MULTILINE):
        first, *more = (line[1:] for line in added.splitlines())
        assert removed in code
        code = code.replace(removed, first)
        # The other lines follow the clause that the page leaves as it is.
        code = code.replace("    headers = relay", "\n".join([*more, "    headers = relay"]))
    imported = (
        "import asyncio\nfrom django.core.asgi import get_asgi_application\nfrom tokenstream import aconnect"
    )
    begin = 'if __name__ == "__main__":'
    return f"{imported}\n{code}".replace(begin, f"application = get_asgi_application()\n{begin}")


@pytest.fixture(scope="module")
def relay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("django")
    command, edit = request.param
    with relaying("django", tmp_path_factory.mktemp("django"), *command, edit=edit) as running:
        yield running


@pytest.mark.parametrize("relay", [(_COMMAND, str)], indirect=True, ids=["runserver"])
class TestDjango(RelayLaws):
    """Every law of relays; a thread that waits for the provider can't notice that its reader has left."""


@pytest.mark.parametrize("relay", [(_ASGI, _asynchronous)], indirect=True, ids=["uvicorn"])
class TestAsynchronousDjango(AsyncRelayLaws):
    """Every law of relays."""


def test_an_asynchronous_view_under_wsgi_says_what_it_wants(tmp_path: Path) -> None:
    """Django reads its answer in a later event loop than the view's."""
    needed("django")
    with relaying("django", tmp_path, *_COMMAND, edit=_asynchronous) as relay:
        told = relay.browser.post("/chat", json=asked("Go on")).text

    assert "the event loop in which the answer was opened is over: under WSGI" in told
    assert "open it with connect" in told


def _guarded(code: str) -> str:
    """Return the program with the middleware of a new project."""
    return code.replace("MIDDLEWARE=[", 'MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware", ')


def _exempt(code: str) -> str:
    """Return the guarded program, whose view is exempt."""
    imported = "from django.views.decorators.csrf import csrf_exempt"
    return f"{imported}\n{_guarded(code)}".replace("@require_POST", "@csrf_exempt\n@require_POST")


def test_the_middleware_of_a_new_project_wants_its_token(tmp_path: Path) -> None:
    """A POST without the cookie's value in the header is forbidden."""
    needed("django")
    token = "a" * 32
    headers = {"Cookie": f"csrftoken={token}", "X-CSRFToken": token}
    with relaying("django", tmp_path, *_COMMAND, edit=_guarded) as relay:
        without = relay.browser.post("/chat", json=asked("Answer"))
        named = relay.browser.post("/chat", json=asked("Answer"), headers=headers)

    assert [403, 200] == [without.status_code, named.status_code]


def test_an_exempt_view_refuses_the_form_of_another_site(tmp_path: Path) -> None:
    """A form of type text/plain is not read as JSON, so that no token is needed."""
    needed("django")
    form = json.dumps({**asked("Answer"), "a form adds": "="}).encode()
    with relaying("django", tmp_path, *_COMMAND, edit=_exempt) as relay:
        without = relay.browser.post("/chat", json=asked("Answer"))
        foreign = relay.browser.post("/chat", content=form, headers={"Content-Type": "text/plain"})

    assert [200, 415] == [without.status_code, foreign.status_code]
