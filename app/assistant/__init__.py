"""Assistant: the reads of the HTTP interface over the Model Context Protocol, so that an assistant can ask why.

Nothing but reads, in read-only transactions, bounded in rows, bytes and time. What fields of `LLM_REDACT` say is
replaced by pseudonyms. What comes from events was written by strangers, who may talk to the assistant: it is marked as
data in every answer, and every tool says so. The SDK is an extra (`pip install 'innervate[mcp]'`): no worker needs it.
"""
