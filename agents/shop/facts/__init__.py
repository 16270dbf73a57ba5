"""Facts: what the events of an order add up to, for every agent that judges it: its money, its story, what is open.

Root cause and recovery read the same facts, each from its own window, so that recovery finds a verdict again before it
acts on it. They know events and failures, and no agent.
"""
