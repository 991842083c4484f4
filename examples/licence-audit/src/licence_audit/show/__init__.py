"""What `make run` shows, and how: the platform it stands on, what can be watched of it, and how it is told."""
