"""Answers over ASGI: responses, WebSockets, routes of a journal, shutdown."""
