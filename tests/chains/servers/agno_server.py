"""agno's AgentOS with AG-UI and A2A over the scripted provider: `python PROGRAM PORT`."""

import sys

import uvicorn
from agno.agent import Agent
from agno.models.anthropic import Claude
from agno.models.openai import OpenAIChat
from agno.os import AgentOS
from agno.os.interfaces.a2a import A2A
from agno.os.interfaces.agui import AGUI


def get_weather(city: str) -> str:
    return f"sun over {city}"


models = {"chat": OpenAIChat("m", max_retries=0), "messages": Claude("m", client_params={"max_retries": 0})}
agents = [Agent(id=name, model=model, tools=[get_weather], telemetry=False) for name, model in models.items()]
interfaces = [A2A(agents), *(AGUI(agent, prefix=f"/{agent.id}") for agent in agents)]
app = AgentOS(agents=agents, interfaces=interfaces, telemetry=False).get_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
