"""The providers' names, by host and by format."""

from __future__ import annotations

import pytest

from tests.otel.support import told_of, told_without_address
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream.testing import all_formats

OF_HOSTS = [
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
    ("api.groq.com", "openai-chat", "groq"),
    ("api.deepseek.com", "openai-chat", "deepseek"),
    ("api.perplexity.ai", "openai-chat", "perplexity"),
    ("api.mistral.ai", "openai-chat", "mistral_ai"),
    ("us-south.ml.cloud.ibm.com", "openai-chat", "ibm.watsonx.ai"),
    ("mine.services.ai.azure.com", "openai-chat", "azure.ai.inference"),
    ("api.anthropic.com", None, "anthropic"),
    ("api.cohere.ai", None, "cohere"),
    ("gateway.example", None, "_OTHER"),
]


@pytest.mark.few_rows(6)
@pytest.mark.parametrize(("host", "format", "provider"), OF_HOSTS)
def test_the_host_tells_more_than_the_format(host: str, format: str | None, provider: str) -> None:
    """A host that nobody knows is told by the flavor that it speaks."""
    assert provider == told_of(f"https://{host}/", format=format)["gen_ai.provider.name"]


@pytest.mark.parametrize(("format", "provider"), [("anthropic", "anthropic"), ("ui-message", "_OTHER")])
def test_without_a_host_the_format_tells_it(format: str, provider: str) -> None:
    assert provider == told_without_address(format)["gen_ai.provider.name"]


def test_the_names_are_those_of_the_conventions() -> None:
    """A name of our own, which the conventions allow where they have none, is listed here."""
    module = needed("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value.value for value in module.GenAiProviderNameValues}
    ours = {told_without_address(format)["gen_ai.provider.name"] for format in all_formats}
    ours |= {provider for _, _, provider in OF_HOSTS}

    assert {"ollama", "_OTHER"} == ours - known


@pytest.mark.parametrize(
    ("url", "operation"),
    [
        ("https://api.example.com/v1/chat/completions", "chat"),
        ("https://api.example.com/v1/completions?beta=true", "text_completion"),
        ("https://g.example/models/m:streamGenerateContent?alt=sse", "generate_content"),
        ("https://api.example.com/", "chat"),
        ("no address", "chat"),
    ],
)
def test_an_address_tells_what_is_asked_for(url: str, operation: str) -> None:
    """A refusal is in no format, and is to be counted with the answers."""
    assert operation == told_of(url)["gen_ai.operation.name"]


@in_one_test(
    ("path", "provider"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/completions", "openai"),
        ("/v1/responses/resp_1", "openai"),
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
def test_an_error_behind_a_gateway_is_recognised_by_its_path(path: str, provider: str) -> None:
    """The body of an error has no format, and the gateway's host is not known."""
    told = told_of(f"https://gateway.example{path}?beta=true")

    assert provider == told["gen_ai.provider.name"]
