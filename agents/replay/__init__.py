"""Replay: rebuild what agents knew from the log, decide again, compare. Publishes and writes nothing."""
