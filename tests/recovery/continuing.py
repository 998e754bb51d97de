"""A story, servers that break off in it, and models that go on with it in their ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.recovery.attempts import Played
from tests.support import wire
from tokenstream import Retry, Seam, testing
from tokenstream.events import Restarted, Resumed, TextDelta
from tokenstream.recovery import Attempt

TEXT = "A river does not mind a stone. It parts, goes around on both sides, and is one river again. "
WORDS = [f"{word} " for word in TEXT.split()]
GIVEN = "".join(WORDS[:9])
GO_ON = Retry(again=True, wait=0)
PREFIX = Retry(again=True, wait=0, seam=Seam(prefill=True))
SCRIPT = testing.script().text(*WORDS).usage(input_tokens=9, output_tokens=20).finish("stop")
END = wire.chat({}, "stop")
Server = Callable[[Attempt], list[bytes]]


def cut(format: str = "openai-chat", script: Any = SCRIPT, *, behind: bytes = b"goes") -> list[bytes]:
    whole: list[bytes] = script.chunks(format)
    return whole[: next(number for number, chunk in enumerate(whole) if behind in chunk)]


def says(reply: Callable[[str], str], format: str = "openai-chat", **finish: Any) -> Server:
    """Return a server that answers with a function of what there is of the answer, word by word."""

    def answer(attempt: Attempt) -> list[bytes]:
        words = reply(attempt.message.text).replace(" ", " \0").split("\0")
        script = testing.script(model="other-model").text(*words).usage(input_tokens=30, output_tokens=11)
        return script.finish(finish.get("reason", "stop")).chunks(format)

    return answer


def last_words(given: str) -> str:
    """Return the end of an answer that broke off, with which a model is asked to begin."""
    return given.rstrip()[-40:].lstrip()


def obeys(given: str) -> str:
    """Begin with the last words, as the user's turn asks."""
    return last_words(given) + TEXT[len(given.rstrip()) :]


def goes_on(given: str) -> str:
    """Go on behind a prefix, which has no white space at its end."""
    return TEXT[len(given.rstrip()) :]


def seam(played: Played) -> Resumed:
    (found,) = [event for event in played.given if isinstance(event, Resumed)]
    return found


def text_of(played: Played) -> str:
    """Return the text that the loop over events has, which forgets what a restart gives up."""
    restarts = [place for place, event in enumerate(played.given) if isinstance(event, Restarted)]
    return text_in(played.given[restarts[-1] if restarts else 0 :])


def text_in(events: Iterable[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoned(*, signature: str | None) -> Any:
    """Return the script of the story with a thought before it."""
    return testing.script().reasoning("Well. ", signature=signature).text(*WORDS).finish("stop")
