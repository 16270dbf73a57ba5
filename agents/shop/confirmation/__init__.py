"""Confirmation: the agent that tells customers that their payment arrived."""
