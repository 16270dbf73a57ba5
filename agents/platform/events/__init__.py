"""Events of services, and of what is found about them."""
