"""Platform: the domain of what every team has: services, their errors and changes, and what is found about them."""
