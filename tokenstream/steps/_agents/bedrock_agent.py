"""Reads the runs of Bedrock's InvokeAgent: the answer in chunks, and traces of what the agent does."""

from __future__ import annotations

from codecs import getincrementaldecoder
from json import dumps
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of
from tokenstream.events import CitationAdded
from tokenstream.formats._detect.unknown import INVOKE_AGENT_FIELDS
from tokenstream.formats._kit.values import base64_bytes
from tokenstream.message import Citation, ToolCall, Usage
from tokenstream.steps._agents import TextAgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.message import FinishReason
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

# The kinds of events, traces and exceptions are those of botocore 1.44.8, 2026-11.
_ENDS = frozenset({"FINISH", "ASK_USER"})
"""The types of observations with which the agent has decided on its answer."""


class BedrockAgent(TextAgentReader):
    """Reads InvokeAgent, as boto3 gives its events.

    | event | is read as |
    |---|---|
    | `chunk` | the answer, with the sources of its `attribution` |
    | `trace` with a `rationale` or `reasoningContent` | reasoning |
    | `trace` with an `invocationInput` and its `observation` | a tool; a collaborator has tools of its own |
    | `trace` with a `failureTrace` | the failure of the turn |
    | `returnControl` | calls of the caller's tools, with which the turn ends |
    | `files` | an update of the turn, with their names and types |

    The stream has no event for its end. It is whole if it has an answer, and the traces, if there are any,
    tell no more of it than came.
    """

    name: ClassVar[str] = "bedrock-agent"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        """A chunk may end inside a character."""
        self._said: list[str] = []
        """The pieces of the answer."""
        self._final: str | None = None
        """The whole answer by the traces; None before they tell it."""
        self._is_traced = False
        """True once a trace tells what the agent does, so that one tells its decision on the answer, too."""
        self._has_decided = False
        """True once the agent has decided on its answer, or asks its caller to run a tool."""
        self._has_returned = False
        """True once the agent has left calls to its caller."""
        self._is_blocked = False
        """True once a guardrail has replaced the answer."""
        self._tokens: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}
        """The tokens of all calls of models so far."""
        self._collaborators: dict[str, Step] = {}
        """The steps of collaborators at work, by their names."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for traces and for control that is returned: models have chunks as well."""
        if is_dict(line.get("returnControl")):
            return "invocationInputs" in dict_of(line, "returnControl")
        trace = dict_of(line, "trace")
        return is_dict(trace.get("trace")) and not trace.keys().isdisjoint(INVOKE_AGENT_FIELDS)

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as an event says."""
        kind = str(next(iter(line), ""))
        event = dict_of(line, kind)
        if self.turns_ended:
            # Nothing follows a failure.
            return
        if kind == "chunk":
            self._read_chunk(event)
        elif kind == "trace":
            self._run.introduce(session=text_of(event, "sessionId"))
            self._read_trace(dict_of(event, "trace"), text_of(event, "collaboratorName"))
        elif kind == "returnControl":
            self._return_control(event)
        elif kind == "files":
            files: Json = [
                {"name": each.get("name"), "type": each.get("type")} for each in dicts_of(event.get("files"))
            ]
            self._open_turn().step.update({"type": "files", "files": files})
        elif kind.endswith("Exception"):
            self.fail(text_of(event, "message"), kind)

    # -- the answer ----------------------------------------------------------

    def _read_chunk(self, chunk: dict[str, Json]) -> None:
        """Add a piece to the answer, and the sources that it cites."""
        data: Json = chunk.get("bytes")
        # The JSON of a recording has base64 in place of bytes.
        piece = data if isinstance(data, bytes) else base64_bytes(data) or b""
        text = self._decode(piece)
        self._said.append(text)
        self._add_text("text", text, is_whole=False)
        for citation in dicts_of(dict_of(chunk, "attribution").get("citations")):
            for source in dicts_of(citation.get("retrievedReferences")):
                self._cite(source, dict_of(citation, "generatedResponsePart"))

    def _cite(self, source: dict[str, Json], part: dict[str, Json]) -> None:
        """Add a source to the answer, with the place of the words that cite it."""
        location = dict_of(source, "location")
        # Each kind of place has a field of its own, and most of them an address.
        addresses = [text_of(dict_of(location, name), "url", "uri") for name in location]
        span = dict_of(dict_of(part, "textResponsePart"), "span")
        citation = Citation(
            url=next((each for each in addresses if each is not None), None),
            text=text_of(dict_of(source, "content"), "text"),
            start=int_of(span, "start"),
            end=int_of(span, "end"),
            provider_data=source,
        )
        if self._answer is not None:
            self._answer.add_citation(CitationAdded(citation))

    def _return_control(self, event: dict[str, Json]) -> None:
        """End the answer with the calls that the agent leaves to its caller."""
        self._has_decided = self._has_returned = True
        answer = self._begin_answer()
        for number, each in enumerate(dicts_of(event.get("invocationInputs"))):
            told = dict_of(each, "functionInvocationInput") or dict_of(each, "apiInvocationInput")
            id = text_of(event, "invocationId") or ""
            name, arguments = _describe_action(told)
            # The calls of one event have its id in common.
            id = f"{id}-{number}" if number else id
            answer.add_call(ToolCall(id=id, name=name, arguments_text=arguments, complete=True))
        self._end_answer("tool_calls", self._usage)

    # -- traces --------------------------------------------------------------

    def _read_trace(self, trace: dict[str, Json], collaborator: str | None) -> None:
        """Read what the agent, or a collaborator of it, has done."""
        turn, is_own = self._open_turn(), collaborator is None
        parent = self._collaborators.get(collaborator or "", turn.step)
        for kind, value in trace.items():
            told = dict_of(trace, kind)
            if kind == "failureTrace":
                self._fail_by(told, parent, is_own=is_own)
            elif kind == "guardrailTrace" and is_own:
                # A guardrail that has only masked something has replaced no answer.
                self._is_blocked = self._is_blocked or _has_blocked(told)
            elif is_dict(value) and kind != "guardrailTrace":
                self._is_traced = self._is_traced or (kind == "orchestrationTrace" and is_own)
                self._read_step(told, parent, is_own=is_own)

    def _fail_by(self, told: dict[str, Json], parent: Step, *, is_own: bool) -> None:
        """End the turn, or the step of a collaborator, with the failure that a trace tells."""
        code, reason = int_of(told, "failureCode"), text_of(told, "failureReason")
        if is_own:
            self.fail(reason, None if code is None else str(code))
        elif parent.cause is not None:
            self._end_tool(parent.cause.id, None, failure=reason or "it failed")

    def _read_step(self, told: dict[str, Json], parent: Step, *, is_own: bool) -> None:
        """Read one step of the agent: its reasoning, the beginning or the end of a tool, its decision."""
        output = dict_of(told, "modelInvocationOutput")
        self._count(dict_of(dict_of(output, "metadata"), "usage"))
        if is_own:
            reasoning = text_of(dict_of(dict_of(output, "reasoningContent"), "reasoningText"), "text")
            for text in (reasoning, text_of(dict_of(told, "rationale"), "text")):
                self._add_text("reasoning", text or "", is_whole=True)
        if is_dict(told.get("invocationInput")):
            self._begin_invocation(dict_of(told, "invocationInput"), parent)
        if is_dict(told.get("observation")):
            self._observe(dict_of(told, "observation"), is_own=is_own)

    def _begin_invocation(self, told: dict[str, Json], parent: Step) -> None:
        """Begin the step of a tool, of a search or of a collaborator."""
        id = text_of(told, "traceId") or ""
        name, arguments = _describe(told)
        if name is None:
            return
        if parent.parent is None:
            self._end_answer("tool_calls")
        step = self._begin_tool(id, name, parent, arguments)
        collaborator = text_of(dict_of(told, "agentCollaboratorInvocationInput"), "agentCollaboratorName")
        if collaborator is not None:
            self._collaborators[collaborator] = step

    def _observe(self, told: dict[str, Json], *, is_own: bool) -> None:
        """End the step of a tool with its result, or note the agent's decision on its answer."""
        if is_own and told.get("type") in _ENDS:
            self._has_decided = True
            self._final = text_of(dict_of(told, "finalResponse"), "text") or self._final
        id = text_of(told, "traceId") or ""
        if id in self._tools:
            step, (result, failure) = self._tools[id], _result_of(told)
            at_work = self._collaborators.items()
            self._collaborators = {name: each for name, each in at_work if each is not step}
            self._end_tool(id, result, failure=failure)

    def _count(self, usage: dict[str, Json]) -> None:
        """Add the tokens of one call of a model."""
        self._tokens["input_tokens"] += int_of(usage, "inputTokens") or 0
        self._tokens["output_tokens"] += int_of(usage, "outputTokens") or 0

    # -- the end -------------------------------------------------------------

    @property
    def _usage(self) -> Usage | None:
        """The tokens of the turn; None if the traces have told none."""
        return Usage(**self._tokens) if any(self._tokens.values()) else None

    def _ends_without_a_line(self) -> bool:
        """Return True if the answer is whole, by what the traces tell of it; and end it."""
        said = "".join(self._said)
        lacks = self._final is not None and len(said) < len(self._final) and self._final.startswith(said)
        is_decided = self._has_decided or self._is_blocked or not self._is_traced
        if not is_decided or lacks or not (said or self._has_returned):
            return False
        reason: FinishReason = "content_filter" if self._is_blocked and not self._has_decided else "stop"
        self._end_answer(reason, self._usage)
        return True


def _has_blocked(told: dict[str, Json]) -> bool:
    """Return True if a guardrail has blocked what was asked or answered."""
    assessments = [told.get("inputAssessments"), told.get("outputAssessments")]
    return told.get("action") == "INTERVENED" and '"BLOCKED"' in dumps(assessments, default=str)


def _describe(told: dict[str, Json]) -> tuple[str | None, str]:
    """Return the name and the arguments of what an agent invokes; None for the name of its last step."""
    action = dict_of(told, "actionGroupInvocationInput")
    if action:
        return _describe_action(action)
    lookup = dict_of(told, "knowledgeBaseLookupInput")
    if lookup:
        return "knowledge_base", dumps({name: lookup.get(name) for name in ("knowledgeBaseId", "text")})
    code = dict_of(told, "codeInterpreterInvocationInput")
    if code:
        return "code_interpreter", dumps({"code": code.get("code")})
    other = dict_of(told, "agentCollaboratorInvocationInput")
    if other:
        asked = dumps({"text": dict_of(other, "input").get("text")})
        return text_of(other, "agentCollaboratorName") or "agent", asked
    return None, ""


def _describe_action(told: dict[str, Json]) -> tuple[str, str]:
    """Return the name and the arguments of a function, or of a request to an API, of an action group."""
    verb, path = text_of(told, "verb", "httpMethod"), text_of(told, "apiPath")
    name = text_of(told, "function") or " ".join(each for each in (verb, path) if each) or "action"
    body = dict_of(dict_of(told, "requestBody"), "content")
    given = [*dicts_of(told.get("parameters"))]
    for content in body.values():
        given += dicts_of(content.get("properties") if is_dict(content) else content)
    return name, dumps({str(each.get("name")): each.get("value") for each in given}, default=str)


def _result_of(told: dict[str, Json]) -> tuple[Json, str | None]:
    """Return the result of a tool, and the description of its failure; None if it has succeeded."""
    code = dict_of(told, "codeInterpreterInvocationOutput")
    if code:
        failure = text_of(code, "executionError")
        is_late = code.get("executionTimeout") is True
        return text_of(code, "executionOutput"), failure or ("it took too long" if is_late else None)
    found = dict_of(told, "knowledgeBaseLookupOutput")
    if found:
        return [*dicts_of(found.get("retrievedReferences"))], None
    text = text_of(dict_of(told, "actionGroupInvocationOutput"), "text")
    reply = dict_of(dict_of(told, "agentCollaboratorInvocationOutput"), "output")
    asked = text_of(dict_of(told, "repromptResponse"), "text")
    return text or text_of(reply, "text") or asked, asked
