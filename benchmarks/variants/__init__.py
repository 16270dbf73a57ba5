"""Variants: one file for each way to decide on payments that is not ours; `benchmarks.contenders` starts them.

All judge by the same rule, over the last 50 payments of the customer, and write a decision and a message for each.
"""
