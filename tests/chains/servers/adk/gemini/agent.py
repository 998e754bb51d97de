"""An agent of ADK with a model of Gemini over the scripted provider."""

from google.adk.agents import LlmAgent

root_agent = LlmAgent(name="gemini", model="gemini-2.5-flash")
