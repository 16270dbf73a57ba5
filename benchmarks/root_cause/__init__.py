"""Root cause across services, measured: the public benchmark PetShop, and graphs of our own with faults at random."""
