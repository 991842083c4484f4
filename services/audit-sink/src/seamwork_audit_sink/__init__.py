"""The service that keeps every record of every topic, once, and answers what became of a task."""
