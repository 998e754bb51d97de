"""Rules that stop an answer: stages that watch the events and set `stop` to a reason."""
