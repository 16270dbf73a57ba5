"""Scripted model: a language model's server that answers by a script, for the demo and the tests."""
