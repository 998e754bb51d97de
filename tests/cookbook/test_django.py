"""The relay of the cookbook in Django, behind uvicorn: an answer arrives, breaks off, its reader leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cookbook.relays import Relay, asked, relaying
from tests.support.packages import needed
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("django")
    command = ("-m", "uvicorn", "django_relay:application", "--port", "{port}")
    with relaying("django", tmp_path_factory.mktemp("django"), *command) as running:
        yield running


def test_the_answer_reaches_the_browser(relay: Relay) -> None:
    """As our own events; the provider gets the page's messages."""
    with relay.ask("Answer") as stream:
        message = stream.final()

    assert ("The sky is blue.", "complete") == (message.text, message.ending)
    assert asked("Answer")["messages"] == relay.provider.requests[-1].json["messages"]


def test_the_beginning_arrives_before_the_end(relay: Relay) -> None:
    """Even though the middleware would compress it; when the browser leaves, the provider is left, too."""
    with relay.ask("Go on") as stream:
        assert "word" == next(iter(stream.text))
        assert "answering" == relay.provider.exchanges[-1].outcome

    assert "abandoned" == relay.outcome()


def test_an_error_before_the_first_event_is_a_502(relay: Relay) -> None:
    """With the kind of the error, so that the page can say what to do."""
    response = relay.browser.post("/chat", json=asked("Refuse"))

    assert 502 == response.status_code
    assert {"error": {"type": "rate_limited", "retryable": True}} == response.json()


def test_a_broken_answer_ends_in_an_error(relay: Relay) -> None:
    """After everything that had arrived."""
    with relay.ask("Break") as stream, pytest.raises(StreamError) as caught:
        stream.final()

    assert ("The sky ", "network") == (caught.value.partial.text, caught.value.kind)


def test_the_provider_is_left_before_its_answer_has_begun(relay: Relay) -> None:
    """While the view waits for the first event."""
    with pytest.raises(httpx.ReadTimeout):
        relay.browser.post("/chat", json=asked("Be silent"), timeout=2)

    assert "Be silent" == relay.provider.requests[-1].json["messages"][-1]["content"]
    assert "abandoned" == relay.outcome()
