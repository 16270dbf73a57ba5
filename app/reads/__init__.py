"""Reads: what can be asked of a worker and its database, as values of stable shapes.

Each read is a function of a database and a query; JSON views, the page, commands and assistants all show what it
returns. Nothing here knows HTTP. Reads raise `NotFound`, and `outbox.errors.DatabaseUnavailable` or
`StatementRejected` for what PostgreSQL cannot compare.
"""
