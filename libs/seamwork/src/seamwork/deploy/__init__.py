"""
Write what an installation past one machine is made from: images' settings, Kubernetes manifests, a compose file.

Everything follows from the topic files and from what each service says of itself, so that a service which is
installed has manifests, and a topic that a file adds has a ``KafkaTopic`` and its writers and readers their rights.
"""
