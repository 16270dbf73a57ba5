"""Operators: what a person is shown of held decisions and what they may answer, the same by HTTP and on a terminal."""
