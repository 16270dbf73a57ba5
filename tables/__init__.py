"""What an agent remembers: the event envelope and the windows of past events. Knows no PostgreSQL."""
