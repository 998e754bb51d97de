"""The paths of endpoints, by which a format is guessed before the first payload."""

from __future__ import annotations

import pytest

from tokenstream.formats._detect import places

PATHS = {
    "/v1/chat/completions": "openai-chat",
    "/openai/deployments/d/chat/completions/": "openai-chat",
    "/v1/completions": "openai-completions",
    "/v1/responses": "openai-responses",
    "/v1/responses/resp_1": "openai-responses",
    "/v1/threads/runs": "openai-assistants",
    "/v1/threads/t_1/runs/r_1/submit_tool_outputs": "openai-assistants",
    "/v1/realtime": "openai-realtime",
    "/v1/messages": "anthropic",
    "/models/claude:streamRawPredict": "anthropic",
    "/models/gemini:streamGenerateContent": "gemini",
    "/ws/google.ai.BidiGenerateContentConstrained": "gemini-live",
    "/v1beta/interactions/i_1": "gemini-interactions",
    "/model/m/converse-stream": "bedrock-converse",
    "/model/m/invoke-with-response-stream": "bedrock-invoke",
    "/v2/chat": "cohere",
    "/api/chat": "ollama",
    "/generate_stream": "tgi",
}


@pytest.mark.parametrize(("path", "format"), PATHS.items())
def test_a_path_has_one_format(path: str, format: str) -> None:
    """No path matches two rows, so that their order says nothing."""
    matching = [name for end, name in places.FORMATS if end.search(path)]

    assert [format] == matching
    assert format == places.format_of_path(path)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/chat", "/v1/models", "/completionsx"])
def test_other_paths_have_none(path: str) -> None:
    """The first payload then tells the format."""
    assert places.format_of_path(path) is None
