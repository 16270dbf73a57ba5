"""Web: how a worker listens to HTTP, and what every request passes before a view answers it."""
