"""A scripted answer: what the model says, in the words of no provider."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenstream.accumulator import Accumulator
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.events import MessageStart
from tokenstream.message import Citation, Message
from tokenstream.relay.encoders import create, names
from tokenstream.testing import _script_checks as checks
from tokenstream.testing import _script_events as told
from tokenstream.testing._recording import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event
    from tokenstream.message import Ending, FinishReason
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._script_events import Step

__all__ = ["Script", "all_formats", "script"]

_SAID = told.Say | told.Use | told.Cite | told.Show
"""What the model says: nothing of it comes behind its end."""

all_formats: tuple[str, ...] = names()
"""The formats that scripts can be written in; `Script.formats` has those that can express a given one."""


@dataclass(frozen=True)
class Script:
    r"""A scripted answer, made by `testing.script()`; each method returns a longer one.

    It is an answer that breaks off until `finish` is called.

    Example:
        >>> from tokenstream import testing
        >>> hello = testing.script().text("Hello").finish("stop")
        >>> hello.stream("anthropic").final().text
        'Hello'
        >>> hello.chunks("text")
        [b'data: Hello\n\n', b'data: [DONE]\n\n']
    """

    _steps: tuple[Step, ...] = ()
    _start: MessageStart = field(default_factory=MessageStart)
    _rate: float | None = None
    _choice: int = 0
    _over: frozenset[int] = frozenset()
    """Choices that have finished."""
    _failed: bool = False
    _ids: frozenset[tuple[int, str | None]] = frozenset()
    """Ids of calls that were given."""

    # -- what is said --------------------------------------------------------

    def text(self, *pieces: str) -> Self:
        """Say text.

        Args:
            *pieces: One text, which is cut into pieces as models send them, or the pieces themselves.
        """
        return self._say("text", pieces)

    def reasoning(self, *pieces: str, signature: str | None = None) -> Self:
        """Reason aloud.

        Args:
            *pieces: As for `text`.
            signature: What the provider wants back with it in the next request.
        """
        return self._say("reasoning", pieces, signature)

    def refusal(self, *pieces: str) -> Self:
        """Decline.

        Args:
            *pieces: As for `text`.
        """
        return self._say("refusal", pieces)

    def tool_call(
        self,
        name: str,
        arguments: Mapping[str, Any] | str | tuple[str, ...] | list[str] = (),
        *,
        id: str | None = None,
    ) -> Self:
        """Call a tool.

        Args:
            name: The tool's name.
            arguments: Its arguments: a mapping, written as JSON; their text; or the text in
                fragments. A call whose text is no whole JSON value is one that was cut.
            id: The call's id, another than those of the calls before it; "call_1" and so on where
                none is given.
        """
        checks.check_name("name", name)
        if id is not None:
            checks.check_name("id", id)
            if (self._choice, id) in self._ids:
                raise MisuseError(f"a call with the id {id!r} is in the script already: ids tell calls apart")
        return self._with(told.Use(name, checks.fragments_of(arguments), id, self._choice))

    def citation(self, *, url: str | None = None, title: str | None = None, text: str | None = None) -> Self:
        """Name a source for what was said last.

        Args:
            url: Where the source is.
            title: What it is called.
            text: The cited words.
        """
        checks.check_told("citation()", url, title, text)
        return self._with(told.Cite(Citation(url=url, title=title, text=text), self._choice))

    def media(self, data: bytes | bytearray | memoryview, mime_type: str) -> Self:
        """Show an image, or give sound.

        Args:
            data: The file.
            mime_type: Its media type, such as "image/png".
        """
        checks.check_bytes("media()", data)
        checks.check_name("mime_type", mime_type)
        return self._with(told.Show(bytes(data), mime_type, self._choice))

    def choice(self, index: int) -> Self:
        """Go on with another alternative answer: what follows belongs to it.

        Args:
            index: Which, from 0.
        """
        checks.check_choice(index)
        return replace(self, _choice=index)

    # -- what happens ----------------------------------------------------------

    def pause(self, seconds: float) -> Self:
        """Be silent.

        Args:
            seconds: For how long; it takes no time on a virtual clock, and none at the pace "instant".
        """
        checks.check_number("seconds", seconds, zero=True)
        return self._with(told.Pause(seconds))

    def ping(self) -> Self:
        """Send a sign of life, where the provider has one."""
        return self._with(told.Alive())

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        total_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
    ) -> Self:
        """Report token counts; they are sent where the provider has its place for them.

        Args:
            input_tokens: Tokens of the request.
            output_tokens: Tokens of the answer.
            total_tokens: Their sum, where it is to be another than that.
            reasoning_tokens: Tokens of the answer that are reasoning.
            cached_tokens: Tokens of the request that came from a cache.
            cache_write_tokens: Tokens of the request that went into a cache.
        """
        counts = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "total_tokens": total_tokens,
            "reasoning_tokens": reasoning_tokens,
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
        }
        return self._with(told.Count(checks.usage_of(counts)))

    def finish(self, reason: FinishReason = "stop") -> Self:
        """End the answer.

        Args:
            reason: Why, in words that do not depend on the provider. "stop" after tool calls is
                "tool_calls", as every provider says then.
        """
        checks.check_reason(reason)
        return self._with(told.Ended(reason, self._choice))

    def error(
        self, message: str | None = None, *, kind: ErrorKind = "overloaded", code: str | None = None
    ) -> Self:
        """Have the provider tell of an error in the middle of the answer.

        Args:
            message: The provider's words; by default usual ones for `kind`.
            kind: Whose problem it is, as far as the provider has words for it.
            code: The provider's code; by default its own for `kind`.
        """
        checks.check_kind(kind)
        checks.check_told("error()", message, code)
        return self._with(told.Failure(kind, message, code))

    def raw(self, payload: object, *, event: str = "") -> Self:
        """Send a payload as it is, between the borders of the format.

        Args:
            payload: Any JSON value; or text, sent as it is.
            event: The event's name, on one line, where the format has names.
        """
        checks.check_event(event)
        # A copy: what is done to the payload later changes no script.
        kept = (
            payload
            if isinstance(payload, str)
            else json.loads(checks.json_of("payload", payload, strict=False))
        )
        return self._with(told.Raw(kept, event))

    # -- as bytes --------------------------------------------------------------

    def recording(self, format: str = "openai-chat") -> Recording:
        """Return the answer as a provider would send it, as a recording.

        Args:
            format: The format's name, one of `testing.all_formats`.

        Raises:
            NotExpressible: The format has no place for something; the error names it.
            MisuseError: There is no such format.
        """
        encoder = create(format)
        arrivals: list[Arrival] = []
        timeline = self._timeline
        for now, step in timeline.moments:
            if isinstance(step, told.Raw):
                chunks = [encoder.frame(step.event, step.payload)]
            elif isinstance(step, told.Failure):
                chunks = encoder.failure(step.kind, step.message, code=step.code)
            else:
                chunks = encoder.feed(step)
            arrivals += [Arrival(now, chunk) for chunk in chunks]
        arrivals += [Arrival(timeline.end, chunk) for chunk in encoder.end()]
        return Recording(
            tuple(arrivals),
            name=f"script in {format}",
            headers={"content-type": encoder.content_type},
            format=encoder.name,
            messages=encoder.messages,
        )

    def chunks(self, format: str) -> list[bytes]:
        """Return the bytes that the provider would send, an event to a chunk.

        Args:
            format: The format's name, one of `testing.all_formats`.

        Raises:
            NotExpressible: The format has no place for something; the error names it.
            MisuseError: There is no such format.
        """
        return self.recording(format).chunks()

    def stream(self, format: str = "openai-chat", **options: Any) -> Stream:  # noqa: ANN401 - those of a recording
        """Return a `Stream` of the answer.

        Args:
            format: The format's name.
            **options: What `Recording.stream` takes.
        """
        return self.recording(format).stream(**options)

    def astream(self, format: str = "openai-chat", **options: Any) -> AsyncStream:  # noqa: ANN401 - those of a recording
        """Return an `AsyncStream` of the answer.

        Args:
            format: The format's name.
            **options: What `Recording.astream` takes.
        """
        return self.recording(format).astream(**options)

    # -- what it comes to --------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """What happens, as events."""
        return [step for _, step in self._timeline.moments if not isinstance(step, told.Raw | told.Failure)]

    @cached_property
    def messages(self) -> list[Message]:
        """What a reader comes to, for each choice; ids, and what only one provider has, aside."""
        accumulator = Accumulator()
        for event in self.events:
            accumulator.feed(event)
        accumulator.conclude(self._ending)
        # Nothing at all is an answer, too: an empty one.
        return accumulator.messages or [accumulator.message]

    @property
    def message(self) -> Message:
        """What a reader comes to: the first choice."""
        return self.messages[0]

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """The formats that have a place for all of it."""
        return tuple(format for format in all_formats if self._fits(format))

    # -- within ------------------------------------------------------------------

    def _fits(self, format: str) -> bool:
        try:
            self.recording(format)
        except NotExpressible:
            return False
        return True

    @property
    def _ending(self) -> Ending:
        if self._failed:
            return "failed"
        return "complete" if self._over else "truncated"

    def _say(self, kind: Any, pieces: tuple[str, ...], signature: str | None = None) -> Self:  # noqa: ANN401 - a Literal
        checks.check_texts(f"{kind}()", pieces)
        checks.check_told("signature", signature)
        given = told.pieces_of(pieces[0]) if len(pieces) == 1 else tuple(filter(None, pieces))
        return self._with(told.Say(kind, given, signature, self._choice))

    def _with(self, step: Step) -> Self:
        if self._failed and isinstance(step, _SAID | told.Count | told.Failure):
            raise MisuseError("the script has failed: nothing can be added behind error()")
        if self._choice in self._over and isinstance(step, _SAID | told.Ended):
            raise MisuseError(
                f"choice {self._choice} of the script has finished: nothing can be added behind finish()"
            )
        return replace(
            self,
            _steps=(*self._steps, step),
            _over=self._over | {step.choice} if isinstance(step, told.Ended) else self._over,
            _failed=self._failed or isinstance(step, told.Failure),
            _ids=self._ids | {(step.choice, step.id)} if isinstance(step, told.Use) else self._ids,
        )

    @cached_property
    def _timeline(self) -> told.Timeline:
        return told.happen(self._steps, self._start, self._rate)


def script(*, id: str | None = None, model: str | None = None, rate: float | None = None) -> Script:
    """Return a script that says nothing yet.

    Args:
        id: The answer's id; a made-up one where none is given.
        model: The model's name; a made-up one where none is given.
        rate: Deltas per second; None to send all at once, but for `pause`.

    Example:
        >>> answer = script().text("It is ").tool_call("get_weather", {"city": "Oslo"}).finish()
        >>> answer.message.finish_reason
        'tool_calls'
    """
    checks.check_told("script()", id, model)
    if rate is not None:
        checks.check_number("rate", rate, zero=False)
    return Script(_start=MessageStart(id=id, model=model), _rate=rate)
