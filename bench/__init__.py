"""Measuring: `make bench` and `make bench-peers`. Nothing here is imported by Pilotlight."""
