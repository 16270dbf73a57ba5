"""Brains that are language models: asking one, and reading what it says with suspicion."""
