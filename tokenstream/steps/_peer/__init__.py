"""The other side of a conversation in JSON-RPC, such as an agent that runs as a process."""
