"""Rules that stop an answer: stages that look at what comes, and say when it is enough."""
