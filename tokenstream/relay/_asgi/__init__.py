"""Answers over ASGI: HTTP responses, WebSockets, the endpoints of a journal, and a server's shutdown."""
