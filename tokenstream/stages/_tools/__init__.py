"""Tool calls checked against the tools of the application."""
