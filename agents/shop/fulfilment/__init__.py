"""Fulfilment: the agent that asks for goods to be packed."""
