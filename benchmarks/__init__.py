"""Measurements: medians of several runs, compared within one run, reported as ratios. Never part of a test."""
