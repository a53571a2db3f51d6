"""Measurements against bare limits and peers, in one run. ``python -m benchmarks [NAME …]``."""
