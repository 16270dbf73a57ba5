"""Facts: what the events of a service add up to, for every agent that judges it. They know events, and no agent."""
