"""Shop: the domain of orders and payments, and the first that others can be modelled on."""
