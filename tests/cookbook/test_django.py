"""The relay of the cookbook in Django, behind uvicorn and the middleware that compresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cookbook.relay_laws import AsyncRelayLaws
from tests.cookbook.relays import Relay, asked, relaying
from tests.support.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_COMMAND = ("-m", "uvicorn", "django_relay:application", "--port", "{port}")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("django")
    with relaying("django", tmp_path_factory.mktemp("django"), *_COMMAND) as running:
        yield running


class TestDjango(AsyncRelayLaws):
    """Every law of relays."""


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
