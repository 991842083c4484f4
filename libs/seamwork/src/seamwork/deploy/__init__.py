"""
Write what an installation past one machine is made from: images' settings, Kubernetes manifests, a compose file.

Everything follows from the topic files and from what each service says of itself, so that a topic that a file
adds has a ``KafkaTopic`` and its writers and readers their rights. Services are the platform's own: of another one
no file says which rights it would have, so it is refused.
"""
