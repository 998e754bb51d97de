"""pydantic-ai's adapters with its own models over the scripted provider: `python PROGRAM PORT`."""

import sys
from typing import Any

import uvicorn
from anthropic import AsyncAnthropic
from fastapi import FastAPI, Request
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter

_OPENAI = OpenAIProvider(openai_client=AsyncOpenAI(max_retries=0))
_ANTHROPIC = AnthropicProvider(anthropic_client=AsyncAnthropic(max_retries=0))
_MODELS = {
    "chat": OpenAIChatModel("m", provider=_OPENAI),
    "responses": OpenAIResponsesModel("m", provider=_OPENAI),
    "messages": AnthropicModel("m", provider=_ANTHROPIC),
}
app = FastAPI()


@app.post("/{adapter}/{api}")
async def answer(adapter: str, api: str, request: Request) -> Any:
    agent = Agent(_MODELS[api], retries=0)
    agent.tool_plain(get_weather)
    return await {"agui": AGUIAdapter, "vercel": VercelAIAdapter}[adapter].dispatch_request(
        request, agent=agent
    )


def get_weather(city: str) -> str:
    return f"sun over {city}"


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
