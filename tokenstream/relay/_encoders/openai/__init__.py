"""Encoders of OpenAI's formats, and of Mistral's format."""
