"""
Bring a Kafka: one that is given, one in Docker, or a real one as a child process; and furnish it.

What is written here needs the extra ``seamwork[platform]``; an agent needs none of it.
"""
