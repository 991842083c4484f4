"""
Make, run and change a platform: its folder, its trust, its documents, its processes.

Everything that `seamwork up`, `publish` and `agents add` do stands here as functions; ``seamwork.cli`` only asks
and tells.
"""
