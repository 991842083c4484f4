"""Read what an operator sets, once, into frozen values."""
