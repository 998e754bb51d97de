"""Agents of LangChain over the scripted provider, for LangGraph's server."""

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sun over {city}"


chat = create_agent(ChatOpenAI(model="m", max_retries=0), [get_weather])
responses = create_agent(ChatOpenAI(model="m", max_retries=0, use_responses_api=True), [get_weather])
messages = create_agent(ChatAnthropic(model="m", max_retries=0), [get_weather])
