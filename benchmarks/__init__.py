"""Measurements, each run by hand with `python -m benchmarks.NAME`; see README.md here."""
