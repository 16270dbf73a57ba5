"""Recovery: the agent that undoes what went wrong with an order."""
