"""The gate that asks people, and believes only their own signatures."""

__version__ = "0.1.0"
