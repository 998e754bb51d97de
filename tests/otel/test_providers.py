"""The providers' names, by host and by format."""

from __future__ import annotations

import pytest

from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream._apis import all_apis
from tokenstream._hosts import HOSTS
from tokenstream.otel._answered import format_at, operation_of, provider_of


@in_one_test(
    ("host", "format", "provider"),
    [
        ("api.openai.com", None, "openai"),
        ("me.openai.azure.com", "openai-chat", "azure.ai.openai"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "bedrock-invoke", "aws.bedrock"),
        ("vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", "bedrock-converse", "aws.bedrock"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "anthropic", "aws.bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "openai-responses", "aws.bedrock"),
        ("my-vllm-1.us-east-1.elb.amazonaws.com", "openai-chat", "openai"),
        ("abc.execute-api.us-east-1.amazonaws.com", "anthropic", "anthropic"),
        ("my-anthropic.com", "openai-chat", "openai"),
        ("generativelanguage.googleapis.com", "openai-chat", "gcp.gemini"),
        ("aiplatform.googleapis.com", "gemini", "gcp.vertex_ai"),
        ("us-central1-aiplatform.googleapis.com", "anthropic", "gcp.vertex_ai"),
        ("api.x.ai", "openai-chat", "x_ai"),
        ("notx.ai", "openai-chat", "openai"),
        ("localhost", "gemini", "gcp.gen_ai"),
        (None, "anthropic", "anthropic"),
        (None, "ui-message", "_OTHER"),
        (None, None, "_OTHER"),
    ],
)
def test_the_host_tells_more_than_the_format(host: str | None, format: str | None, provider: str) -> None:
    """A host that nobody knows is told by the flavor that it speaks."""
    assert provider == provider_of(host, format)


def test_the_names_are_those_of_the_conventions() -> None:
    """A name of our own, which the conventions allow where they have none, is listed here."""
    module = needed("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value.value for value in module.GenAiProviderNameValues}
    ours = {row.provider for row in HOSTS} | {api.provider for api in all_apis()}

    assert {"ollama", None} == ours - known


@pytest.mark.parametrize(
    ("url", "format", "operation"),
    [
        ("https://api.example.com/v1/chat/completions", "openai-chat", "chat"),
        ("https://api.example.com/v1/completions?beta=true", "openai-completions", "text_completion"),
        ("https://g.example/models/m:streamGenerateContent?alt=sse", "gemini", "generate_content"),
        ("https://api.example.com/", None, "chat"),
        (None, None, "chat"),
    ],
)
def test_an_address_tells_what_is_asked_for(url: str | None, format: str | None, operation: str) -> None:
    """A refusal is in no format, and is to be counted with the answers."""
    assert format == format_at(url)
    assert operation == operation_of(format_at(url))


@in_one_test(
    ("path", "provider"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/completions", "openai"),
        ("/v1/responses/resp_1", "openai"),
        ("/v1/threads/t_1/runs/r_1/submit_tool_outputs", "openai"),
        ("/v1/realtime", "openai"),
        ("/v1/messages", "anthropic"),
        ("/models/claude:streamRawPredict", "anthropic"),
        ("/models/gemini:streamGenerateContent", "gcp.gen_ai"),
        ("/ws/google.ai.BidiGenerateContent", "gcp.gen_ai"),
        ("/v1beta/interactions/i_1", "gcp.gen_ai"),
        ("/model/m/converse-stream", "aws.bedrock"),
        ("/model/m/invoke-with-response-stream", "aws.bedrock"),
        ("/v2/chat", "cohere"),
        ("/api/chat", "ollama"),
    ],
)
def test_an_error_behind_a_gateway_is_told_by_its_path(path: str, provider: str) -> None:
    """The body of an error has no format, and the gateway's host is not known."""
    assert provider == provider_of("gateway.example", format_at(f"https://gateway.example{path}?beta=true"))
