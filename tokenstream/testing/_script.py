"""The class `Script`: a scripted answer, independent of any provider's format."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.elsewhere import explain_options
from tokenstream.errors import ErrorKind, MisuseError, NotExpressible
from tokenstream.events import Event, MessageStart
from tokenstream.message import Citation, FinishReason, Message
from tokenstream.relay._encoders import create, names
from tokenstream.testing import _script_steps as steps
from tokenstream.testing._recordings.recording import Arrival, Recording, ReplayOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._providers.apis import ScriptFormat
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._script_steps import ScriptStep

_OUTPUT = steps.AddText | steps.AddToolCall | steps.AddCitation | steps.AddMedia
"""Kinds of steps that are output of the model, which must not follow the finish of the choice."""

all_formats: tuple[str, ...] = names()
"""Names of the formats in which scripts can be sent; `Script.formats` has those that fit one script."""


@dataclass(frozen=True)
class Script:
    r"""A scripted answer, made by `testing.script()`; each method returns a longer script.

    Until `finish` is called, the answer is truncated.

    Example:
        >>> from tokenstream import testing
        >>> hello = testing.script().text("Hello").finish("stop")
        >>> hello.stream("anthropic").final().text
        'Hello'
        >>> hello.chunks("text")
        [b'data: Hello\n\n', b'data: [DONE]\n\n']
    """

    _steps: tuple[ScriptStep, ...] = ()
    _start: MessageStart = field(default_factory=MessageStart)
    _rate: float | None = None
    """Number of deltas a second; None for no time between deltas."""
    _choice: int = 0
    """The choice to which the next steps belong."""
    _finished: frozenset[int] = frozenset()
    _failed: bool = False
    """True once the script has a provider's error, after which no output can follow."""
    _ids: frozenset[tuple[int, str | None]] = frozenset()

    # -- output of the model -------------------------------------------------

    def text(self, *pieces: str) -> Self:
        """Add text.

        Args:
            *pieces: One text, which is cut into pieces as long as those that models send; or the
                pieces themselves.
        """
        return self._add_text("text", pieces)

    def reasoning(self, *pieces: str, signature: str | None = None) -> Self:
        """Add reasoning.

        Args:
            *pieces: As for `text`.
            signature: The provider's signature of the reasoning, which applications send back in their
                next request; None for none.
        """
        return self._add_text("reasoning", pieces, signature)

    def refusal(self, *pieces: str) -> Self:
        """Add a refusal.

        Args:
            *pieces: As for `text`.
        """
        return self._add_text("refusal", pieces)

    def tool_call(
        self,
        name: str,
        arguments: Mapping[str, Any] | str | tuple[str, ...] | list[str] = (),
        *,
        id: str | None = None,
    ) -> Self:
        """Add a tool call.

        Args:
            name: The tool's name.
            arguments: A mapping, which is written as JSON; JSON text; or fragments of that text. If
                the text is not a whole JSON value, the call is truncated.
            id: The call's id, which is unique in its choice; "call_1" and so on by default.

        Raises:
            MisuseError: An argument is invalid, or the choice has a call with this id already.
        """
        steps.check_name("name", name)
        if id is not None:
            steps.check_name("id", id)
            if (self._choice, id) in self._ids:
                raise MisuseError(
                    f"a call with the id {id!r} is in the script already: give each call another id"
                )
        return self._add(steps.AddToolCall(name, steps.fragments_of(arguments), id, self._choice))

    def citation(self, *, url: str | None = None, title: str | None = None, text: str | None = None) -> Self:
        """Add a citation for the preceding text.

        Args:
            url: Address of the source; None if it is not sent.
            title: Title of the source; None if it is not sent.
            text: The cited words; None if they are not sent.
        """
        steps.check_text_or_none("citation()", url, title, text)
        return self._add(steps.AddCitation(Citation(url=url, title=title, text=text), self._choice))

    def media(self, data: bytes | bytearray | memoryview, mime_type: str) -> Self:
        """Add an image, audio or another file.

        Args:
            data: The file's content.
            mime_type: The file's media type, such as "image/png".
        """
        steps.check_bytes("media()", data)
        steps.check_name("mime_type", mime_type)
        return self._add(steps.AddMedia(bytes(data), mime_type, self._choice))

    def choice(self, index: int) -> Self:
        """Switch to another of several alternative answers: the next steps belong to it.

        Args:
            index: The choice's index, from 0.
        """
        steps.check_choice(index)
        return replace(self, _choice=index)

    # -- other steps -----------------------------------------------------------

    def silence(self, seconds: float) -> Self:
        """Add a silence.

        Args:
            seconds: Length of the silence. It takes no real time on a virtual clock; at the pace
                "instant", it is left out.
        """
        steps.check_number("seconds", seconds, zero=True)
        return self._add(steps.StaySilent(seconds))

    def ping(self) -> Self:
        """Add a heartbeat, if the format has one."""
        return self._add(steps.SendPing())

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
        """Add token counts; the format determines the place in the answer at which they are sent.

        Args:
            input_tokens: Tokens of the request; None if not reported.
            output_tokens: Tokens of the answer; None if not reported.
            total_tokens: The reported total; None for the sum of input and output tokens.
            reasoning_tokens: Tokens of the answer that are reasoning; None if not reported.
            cached_tokens: Tokens of the request read from a cache; None if not reported.
            cache_write_tokens: Tokens of the request written to a cache; None if not reported.
        """
        usage = steps.usage_of(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total_tokens,
            reasoning_tokens=reasoning_tokens,
            cached_tokens=cached_tokens,
            cache_write_tokens=cache_write_tokens,
        )
        return self._add(steps.ReportUsage(usage))

    def finish(self, reason: FinishReason = "stop") -> Self:
        """End the current choice of the answer.

        Args:
            reason: The normalised finish reason. After tool calls, "stop" becomes "tool_calls".
        """
        steps.check_word("finish reason", reason)
        return self._add(steps.FinishChoice(reason, self._choice))

    def error(
        self, message: str | None = None, *, kind: ErrorKind = "overloaded", code: str | None = None
    ) -> Self:
        """Add a provider's error in the middle of the answer.

        Args:
            message: The provider's error message; by default a usual message for `kind`.
            kind: Kind of the error, as far as the format can express it.
            code: The provider's error code; by default the code that the provider uses for `kind`.
        """
        steps.check_word("kind of error", kind)
        steps.check_text_or_none("error()", message, code)
        return self._add(steps.SendError(kind, message, code))

    def raw(self, payload: object, *, event: str = "") -> Self:
        """Add a payload unchanged, in the format's framing.

        Args:
            payload: Any JSON value; or text, which is sent unchanged.
            event: Name of the SSE event, on one line, if the format has named events.
        """
        steps.check_event(event)
        # A copy: a later change to the payload must not change the script.
        if not isinstance(payload, str):
            payload = json.loads(steps.json_of("payload", payload, strict=False))
        return self._add(steps.SendRaw(payload, event))

    # -- as bytes --------------------------------------------------------------

    def recording(self, format: ScriptFormat | str = "openai-chat") -> Recording:
        """Return the answer as a recording of the bytes that a provider would send.

        Args:
            format: The format's name, one of `testing.all_formats`.

        Raises:
            NotExpressible: The format cannot express a step; the error names it.
            MisuseError: There is no such format.
        """
        encoder = create(format)
        arrivals: list[Arrival] = []
        timeline = self._timeline
        for now, step in timeline.moments:
            if isinstance(step, steps.SendRaw):
                chunks = [encoder.frame(step.event, step.payload)]
            elif isinstance(step, steps.SendError):
                chunks = encoder.failure(step.kind, step.message, code=step.code)
            elif isinstance(step, steps.SendPing):
                chunks = encoder.ping()
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

    def chunks(self, format: ScriptFormat | str) -> list[bytes]:
        """Return the bytes that a provider would send, with one event in each chunk.

        Args:
            format: The format's name, one of `testing.all_formats`.

        Raises:
            NotExpressible: The format cannot express a step; the error names it.
            MisuseError: There is no such format.
        """
        return self.recording(format).chunks()

    def stream(self, format: ScriptFormat | str = "openai-chat", **options: Unpack[ReplayOptions]) -> Stream:
        """Return a `Stream` of the answer.

        Args:
            format: The format's name.
            **options: Arguments of `Recording.stream`.
        """
        return self.recording(format).stream(**options)

    def astream(
        self, format: ScriptFormat | str = "openai-chat", **options: Unpack[ReplayOptions]
    ) -> AsyncStream:
        """Return an `AsyncStream` of the answer.

        Args:
            format: The format's name.
            **options: Arguments of `Recording.astream`.
        """
        return self.recording(format).astream(**options)

    # -- the expected result -----------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """The events of the script, without heartbeats, raw payloads and errors."""
        return [
            step
            for _, step in self._timeline.moments
            if not isinstance(step, steps.SendPing | steps.SendRaw | steps.SendError)
        ]

    @cached_property
    def messages(self) -> list[Message]:
        """The expected message of each choice; ids and provider-specific fields may differ."""
        accumulator = Accumulator()
        for event in self.events:
            accumulator.feed(event)
        # The answer is complete as soon as any choice has its finish reason.
        accumulator.conclude("failed" if self._failed else "complete" if self._finished else "truncated")
        # A script without steps is an empty answer.
        return accumulator.messages or [accumulator.message]

    @property
    def message(self) -> Message:
        """The expected message of the first choice."""
        return self.messages[0]

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats that can express every step of the script."""
        return tuple(format for format in all_formats if self._is_expressible_in(format))

    # -- within ------------------------------------------------------------------

    def _is_expressible_in(self, format: ScriptFormat | str) -> bool:
        try:
            self.recording(format)
        except NotExpressible:
            return False
        return True

    def _add_text(self, kind: Any, pieces: tuple[str, ...], signature: str | None = None) -> Self:  # noqa: ANN401 - a Literal
        """Add a text of some kind; a single piece is cut into smaller ones, as models send them."""
        steps.check_texts(f"{kind}()", pieces)
        steps.check_text_or_none("signature", signature)
        cut = steps.cut_pieces(pieces[0]) if len(pieces) == 1 else tuple(filter(None, pieces))
        return self._add(steps.AddText(kind, cut, signature, self._choice))

    def _add(self, step: ScriptStep) -> Self:
        """Return the script with one more step; raise `MisuseError` if the step cannot follow the others."""
        if self._failed and isinstance(step, _OUTPUT | steps.ReportUsage | steps.SendError):
            raise MisuseError("the script has failed: nothing can be added after error()")
        if self._choice in self._finished and isinstance(step, _OUTPUT | steps.FinishChoice):
            raise MisuseError(
                f"choice {self._choice} of the script has finished: nothing can be added after finish()"
            )
        longer = replace(self, _steps=(*self._steps, step))
        if isinstance(step, steps.FinishChoice):
            return replace(longer, _finished=self._finished | {step.choice})
        if isinstance(step, steps.SendError):
            return replace(longer, _failed=True)
        if isinstance(step, steps.AddToolCall):
            return replace(longer, _ids=self._ids | {(step.choice, step.id)})
        return longer

    @cached_property
    def _timeline(self) -> steps.Timeline:
        return steps.make_timeline(self._steps, self._start, self._rate)


@explain_options('takes no text: write script().text("Hello")')
def script(*, id: str | None = None, model: str | None = None, rate: float | None = None) -> Script:
    """Return an empty script.

    Args:
        id: The answer's id; by default, a made-up id that suits the format.
        model: The model's name; by default, a made-up name.
        rate: Number of deltas per second; None for no time between deltas, except for `silence`.

    Example:
        >>> answer = script().text("It is ").tool_call("get_weather", {"city": "Oslo"}).finish()
        >>> answer.message.finish_reason
        'tool_calls'
    """
    steps.check_text_or_none("script()", id, model)
    if rate is not None:
        steps.check_number("rate", rate, zero=False)
    return Script(_start=MessageStart(id=id, model=model), _rate=rate)
