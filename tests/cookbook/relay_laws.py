"""Laws of every relay of the cookbook; a recipe's tests run them all by a subclass."""

from __future__ import annotations

from typing import ClassVar

import httpx
import pytest

from tests.cookbook.relays import Relay, asked
from tokenstream.errors import StreamError


class RelayLaws:
    """The laws of a relay that speaks our own protocol. A subclass's module has a fixture `relay`."""

    refusal: ClassVar[tuple[int, object]] = (502, {"error": {"type": "rate_limited", "retryable": True}})
    """Status and body of the response if the provider refuses the request with a 429."""

    def test_the_answer_reaches_the_browser(self, relay: Relay) -> None:
        """Our own events, with the provider's finish reason; the provider gets the page's messages."""
        with relay.ask("Answer") as stream:
            message = stream.final()

        assert ("The sky is blue.", "complete") == (message.text, message.ending)
        assert asked("Answer")["messages"] == relay.provider.requests[-1].json["messages"]

    def test_the_beginning_arrives_before_the_end(self, relay: Relay) -> None:
        """No middleware holds it back; when the browser leaves, the relay leaves the provider."""
        with relay.ask("Go on") as stream:
            assert next(iter(stream.text)).startswith("word")
            assert "answering" == relay.provider.exchanges[-1].outcome

        assert "abandoned" == relay.outcome()

    def test_a_refusal_has_a_status_and_a_kind(self, relay: Relay) -> None:
        """The page can tell by them what to do."""
        response = relay.browser.post("/chat", json=asked("Refuse"))

        assert self.refusal == (response.status_code, response.json())

    def test_a_broken_answer_ends_in_an_error(self, relay: Relay) -> None:
        """Everything that had arrived comes before it."""
        with relay.ask("Break") as stream, pytest.raises(StreamError) as caught:
            stream.final()

        assert ("The sky ", "network") == (caught.value.partial.text, caught.value.kind)

    @pytest.mark.slow
    def test_the_provider_is_left_while_it_pauses(self, relay: Relay) -> None:
        """Nobody pays for an answer that nobody reads: the next heartbeat finds out, in ten seconds."""
        with relay.ask("Fall silent") as stream:
            assert next(iter(stream.text)).startswith("word")

        assert "abandoned" == relay.outcome()


class AsyncRelayLaws(RelayLaws):
    """The laws, with those of a relay that notices at once that its reader has left."""

    def test_the_provider_is_left_before_its_answer_has_begun(self, relay: Relay) -> None:
        """The relay still waits for the first event."""
        with pytest.raises(httpx.ReadTimeout):
            relay.browser.post("/chat", json=asked("Be silent"), timeout=2)

        assert "Be silent" == relay.provider.requests[-1].json["messages"][-1]["content"]
        assert "abandoned" == relay.outcome()

    def test_the_provider_is_left_while_it_pauses(self, relay: Relay) -> None:
        """At once, although there is nothing to send."""
        with relay.ask("Fall silent") as stream:
            assert next(iter(stream.text)).startswith("word")

        assert "abandoned" == relay.outcome()
