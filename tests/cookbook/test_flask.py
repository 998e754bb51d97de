"""The relay of the cookbook on Flask's own server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cookbook.relay_laws import RelayLaws
from tests.cookbook.relays import Relay, asked, relaying
from tests.support.packages import needed


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("flask")
    command = ("-m", "flask", "--app", "flask_relay", "run", "--port", "{port}")
    with relaying("flask", tmp_path_factory.mktemp("flask"), *command) as running:
        yield running


class TestFlask(RelayLaws):
    """Every law of relays; a thread that waits for the provider can't notice that its reader has left."""


def test_what_another_site_can_send_is_refused(relay: Relay) -> None:
    """A form sends JSON only as text/plain, and a script gets no leave to send it as application/json."""
    form = json.dumps({**asked("Answer"), "a form adds": "="}).encode()
    foreign = relay.browser.post("/chat", content=form, headers={"Content-Type": "text/plain"})
    wish = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    leave = relay.browser.options("/chat", headers=wish)

    assert 415 == foreign.status_code
    assert "Access-Control-Allow-Origin" not in leave.headers
