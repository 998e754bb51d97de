"""All facts about the APIs: one record for each format that is read or written, and the types of their names.

A record holds strings only. It names the modules of its reader and its writer, which are loaded when they are
first used. Their order is that in which detection asks the readers: the most common APIs are first.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Path = tuple[str, ...]
"""The keys that lead to a field of a request."""

FormatName: TypeAlias = Literal[
    "openai-chat",
    "anthropic",
    "openai-responses",
    "gemini",
    "ollama",
    "bedrock-converse",
    "bedrock-invoke",
    "cohere",
    "ui-message",
    "ag-ui",
    "tokenstream",
    "openai-realtime",
    "gemini-live",
    "gemini-interactions",
    "openai-completions",
    "tgi",
    "anthropic-agents",
    "mistral-conversations",
    "transcription",
    "openai-live",
    "a2a",
    "langchain-protocol",
    "langchain",
    "llamaindex",
    "text",
    "pieces",
    "mistral",
]
"""The names that `format=` accepts. For a format of another distribution, pass its class, an instance
of the class, or the name as `cast(FormatName, "its-name")`: at runtime every installed name is accepted."""
ProtocolName: TypeAlias = Literal[
    "openai-chat",
    "openai-responses",
    "openai-completions",
    "anthropic",
    "gemini",
    "bedrock-converse",
    "bedrock-invoke",
    "ollama",
    "ui-message",
    "ag-ui",
    "text",
    "tokenstream",
    "ndjson",
]
"""The names of the protocols in which a relay sends an answer."""
ScriptFormat: TypeAlias = (
    ProtocolName
    | Literal["openai-realtime", "gemini-live", "gemini-interactions", "cohere", "tgi", "mistral"]
)
"""The names of the formats in which a script can be sent: those of the protocols, and some only for tests."""


class RequestRecord(NamedTuple):
    """The fields of an API's requests that matter for continuing an answer that broke off.

    The library changes or checks these fields in the request for the rest of the answer.
    """

    turns: str
    """The field that contains the turns, or the prompt that the model continues."""
    limits: tuple[Path, ...]
    """Paths of the output limit."""
    choice: Path = ("tool_choice",)
    """Path of the tool choice."""
    alternatives: Path = ("n",)
    """Path of the number of alternative answers."""
    json: tuple[Path, ...] = ()
    """Paths of the settings that ask for JSON output."""
    is_text: bool = False
    """True if `turns` is a text prompt, which the model continues in any case."""
    least: int = 1
    """The lowest output limit that the API accepts."""
    pieces: str | None = None
    """The field of a turn that has a list of pieces, such as texts; None if a turn has a text."""


class PauseRecord(NamedTuple):
    """The fields with which a request goes on with an answer that the API has paused."""

    token: str | None = None
    """The field, of the answer and of the request, that has the token with which the answer goes on; None if
    the request sends the answer back instead, as the assistant's turn.
    """
    parent: str | None = None
    """The field for the id of the answer that the token is from; None if there is no such field. An API with
    this field stores the input, unless the request says `"store": false`.
    """
    carried: str | None = None
    """The field, of the answer and of the request, that has the container in which the answer's code runs."""


class APIRecord(NamedTuple):
    """All facts about one API."""

    name: str
    """The name of its format."""
    reader: str | None = None
    """The module, in `tokenstream.formats._wire`, and the class of the format; None for a dialect, which
    another format reads, and for a protocol that is written only.
    """
    writer: str | None = None
    """The module, in `tokenstream.relay._encoders`, and the class of the encoder; None if none is written."""
    dialect_of: str | None = None
    """The format that reads this one; None if it has a reader of its own, or none at all."""
    takes_name: bool = True
    """True if `format=` accepts the name."""
    paths: str | None = None
    """A regular expression for the ends of its endpoints' paths; no path matches those of two APIs."""
    turn: str | None = None
    """The name of the method, of `Message` and of `ToolResults`, that makes the turns of its requests."""
    request: RequestRecord | None = None
    """The fields of its requests; None if an answer cannot be continued by another request."""
    pause: PauseRecord | None = None
    """The way to go on after a pause; None if no request goes on."""
    replay_parameter: str | None = None
    """The query parameter for the position from which to replay an answer; None if there is no replay."""
    replay_field: str | None = None
    """The field of a request's JSON for the number after which to replay; None if there is none."""
    gives_finished: bool = False
    """True if a finished answer can be fetched from its address, and an unfinished one be cancelled there."""
    provider: str | None = None
    """The provider's name in OpenTelemetry's GenAI conventions, for unknown hosts; None if it has none."""
    operation: str = "chat"
    """The name of the operation in these conventions."""
    input_excludes_cache: bool = False
    """True if the count of input tokens leaves out those that were read from or written to a cache."""
    counts_bytes: bool = False
    """True if citations of the text count its bytes in UTF-8, and not its characters."""


_APIS = (
    APIRecord(
        "openai-chat",
        "openai_chat.OpenAIChat",
        "openai.chat.OpenAIChatEncoder",
        paths="/chat/completions",
        turn="to_openai_chat",
        request=RequestRecord(
            "messages", (("max_completion_tokens",), ("max_tokens",)), json=(("response_format", "type"),)
        ),
        provider="openai",
    ),
    APIRecord(
        "anthropic",
        "anthropic.Anthropic",
        "blocks.anthropic.AnthropicEncoder",
        paths="/messages|:streamRawPredict",
        turn="to_anthropic",
        request=RequestRecord(
            "messages", (("max_tokens",),), json=(("output_config", "format"), ("output_format",))
        ),
        pause=PauseRecord(carried="container"),
        provider="anthropic",
        input_excludes_cache=True,
    ),
    APIRecord(
        "openai-responses",
        "openai_responses.OpenAIResponses",
        "openai.responses.OpenAIResponsesEncoder",
        paths="/responses(/[^/]+)?",
        turn="to_openai_responses",
        request=RequestRecord(
            "input", (("max_output_tokens",),), json=(("text", "format", "type"),), least=16
        ),
        replay_parameter="starting_after",
        gives_finished=True,
        provider="openai",
    ),
    APIRecord(
        "gemini",
        "gemini.Gemini",
        "google.gemini.GeminiEncoder",
        paths=":streamGenerateContent",
        turn="to_gemini",
        request=RequestRecord(
            "contents",
            (("generationConfig", "maxOutputTokens"),),
            choice=("toolConfig", "functionCallingConfig", "mode"),
            alternatives=("generationConfig", "candidateCount"),
            json=(
                ("generationConfig", "responseMimeType"),
                ("generationConfig", "responseSchema"),
                ("generationConfig", "responseJsonSchema"),
            ),
            pieces="parts",
        ),
        pause=PauseRecord("continuationToken"),
        provider="gcp.gen_ai",
        operation="generate_content",
        counts_bytes=True,
    ),
    APIRecord(
        "ollama",
        "ollama.Ollama",
        "native.OllamaEncoder",
        paths="/api/chat",
        turn="to_ollama",
        request=RequestRecord("messages", (("options", "num_predict"),), json=(("format",),)),
        provider="ollama",
    ),
    APIRecord(
        "bedrock-converse",
        "bedrock_converse.BedrockConverse",
        "blocks.bedrock.BedrockConverseEncoder",
        paths="/converse-stream",
        turn="to_bedrock",
        request=RequestRecord(
            "messages",
            (("inferenceConfig", "maxTokens"),),
            choice=("toolConfig", "toolChoice"),
            pieces="content",
        ),
        provider="aws.bedrock",
        input_excludes_cache=True,
    ),
    APIRecord(
        "bedrock-invoke",
        "bedrock_invoke.BedrockInvoke",
        "blocks.bedrock.BedrockInvokeEncoder",
        paths="/invoke-with-response-stream",
        turn="to_anthropic",
        request=RequestRecord("messages", (("max_tokens",),)),
        pause=PauseRecord(carried="container"),
        provider="aws.bedrock",
        input_excludes_cache=True,
    ),
    APIRecord(
        "cohere",
        "cohere.Cohere",
        "blocks.cohere.CohereEncoder",
        paths="/v2/chat",
        turn="to_cohere",
        request=RequestRecord("messages", (("max_tokens",),), json=(("response_format", "type"),)),
        provider="cohere",
    ),
    APIRecord("ui-message", "ui_message.UIMessage", "ui.ui_message.UIMessageEncoder"),
    APIRecord("ag-ui", "ag_ui.AGUI", "ui.ag_ui.AGUIEncoder"),
    APIRecord("tokenstream", "tokenstream.TokenStream", "tokenstream.TokenStreamEncoder"),
    APIRecord(
        "openai-realtime",
        "openai_realtime.OpenAIRealtime",
        "openai.realtime.OpenAIRealtimeEncoder",
        paths="/realtime",
        provider="openai",
    ),
    APIRecord(
        "gemini-live",
        "gemini_live.GeminiLive",
        "google.gemini.GeminiLiveEncoder",
        paths="[./]BidiGenerateContent(Constrained)?",
        provider="gcp.gen_ai",
        operation="generate_content",
    ),
    APIRecord(
        "gemini-interactions",
        "gemini_interactions.GeminiInteractions",
        "google.gemini_interactions.GeminiInteractionsEncoder",
        paths="/interactions(/[^/]+)?",
        pause=PauseRecord("continuation_token", parent="previous_interaction_id"),
        replay_parameter="last_event_id",
        gives_finished=True,
        provider="gcp.gen_ai",
        operation="generate_content",
    ),
    APIRecord(
        "openai-completions",
        "openai_completions.OpenAICompletions",
        "openai.chat.OpenAICompletionsEncoder",
        paths="(?<!/chat)/completions",
        request=RequestRecord("prompt", (("max_tokens",),), is_text=True),
        provider="openai",
        operation="text_completion",
    ),
    APIRecord(
        "tgi",
        "tgi.TGI",
        "native.TGIEncoder",
        paths="/generate_stream",
        request=RequestRecord("inputs", (("parameters", "max_new_tokens"),), is_text=True),
    ),
    APIRecord(
        "anthropic-agents",
        "anthropic_agents.AnthropicAgents",
        provider="anthropic",
        input_excludes_cache=True,
    ),
    APIRecord("mistral-conversations", "mistral_conversations.MistralConversations", provider="mistral_ai"),
    APIRecord("transcription", "transcription.Transcription"),
    APIRecord("openai-live", "openai_live.OpenAILive", paths="/live/sessions", provider="openai"),
    APIRecord("a2a", "a2a.A2A"),
    APIRecord("langchain-protocol", "langchain.protocol.LangChainProtocol", replay_field="since"),
    APIRecord("langchain", "langchain.LangChain"),
    APIRecord("llamaindex", "llamaindex.LlamaIndex"),
    APIRecord("text", "bare_text.Text", "text.TextEncoder"),
    APIRecord("pieces", "pieces.Pieces"),
    APIRecord("mistral", writer="openai.chat.MistralEncoder", dialect_of="openai-chat", turn="to_mistral"),
    APIRecord("ndjson", writer="tokenstream.NDJSONEncoder", dialect_of="tokenstream", takes_name=False),
)


_BY_NAME = {api.name: api for api in _APIS}


def all_apis() -> tuple[APIRecord, ...]:
    """Return the records of all APIs, in the order of detection."""
    return _APIS


def api_named(name: str | None) -> APIRecord | None:
    """Return the record of an API; None for an unknown name, such as a format of another distribution."""
    return _BY_NAME.get(name or "")
