"""Telemetry: what a worker tells those who run it: logs, metrics, traces."""
