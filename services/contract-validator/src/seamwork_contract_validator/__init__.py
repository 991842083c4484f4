"""The gate that holds every crossing against its contract."""
