"""Pilotlight: AWS Lambda for machines of your own."""

__version__ = "0.1.0"
