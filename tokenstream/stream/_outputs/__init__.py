"""Views of structured output and of tool calls."""
