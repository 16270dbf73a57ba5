"""Versions: which code an agent decides by, told apart by hashes of its source. Reads source files only."""
