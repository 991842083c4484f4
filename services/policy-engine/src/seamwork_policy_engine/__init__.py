"""The gate that holds crossings against flows and policies."""

__version__ = "0.1.0"
