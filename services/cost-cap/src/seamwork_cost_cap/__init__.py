"""The gate that reserves money before work is dispatched and settles it afterwards."""

__version__ = "0.1.0"
