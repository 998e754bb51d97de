"""Answers over ASGI: HTTP responses, WebSockets, the routes of a journal, and a server's shutdown."""
