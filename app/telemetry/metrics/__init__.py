"""Metrics: one catalogue of what Prometheus can read of a worker, and how it is written out.

What is counted in parts of the product is kept by those parts, as plain numbers; here they get names. Reading them
costs whoever scrapes, and the path of events nothing.
"""
