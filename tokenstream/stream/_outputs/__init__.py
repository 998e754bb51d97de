"""Views of structured output, and of tool calls with checked arguments."""
