"""The log port, its Kafka client, the FastStream brokers."""
