"""Root cause: the agent that names the event that led to an order's error."""
