"""The one room that may ask for the time; everybody else is given it."""

from seamwork.clock.clock import Clock, SystemClock

__all__ = ["Clock", "SystemClock"]
