"""The service that tells owners what was refused, held, escalated or set aside."""

__version__ = "0.1.0"
