"""The relay of the cookbook on Flask's own server: an answer arrives, breaks off, its reader leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cookbook.relays import Relay, asked, relaying
from tests.support.packages import needed
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needed("flask")
    command = ("-m", "flask", "--app", "flask_relay", "run", "--port", "{port}")
    with relaying("flask", tmp_path_factory.mktemp("flask"), *command) as running:
        yield running


def test_the_answer_reaches_the_browser(relay: Relay) -> None:
    """As our own events; the provider gets the page's messages."""
    with relay.ask("Answer") as stream:
        message = stream.final()

    assert ("The sky is blue.", "complete") == (message.text, message.ending)
    assert asked("Answer")["messages"] == relay.provider.requests[-1].json["messages"]


def test_the_beginning_arrives_before_the_end(relay: Relay) -> None:
    """The provider still writes; when the browser leaves, the provider is left, too."""
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
