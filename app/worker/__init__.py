"""Worker: the process that runs agents, and what it owns."""
