"""
Judge what crosses a seam by its contract, and check contracts before anyone relies on them.

Nothing is imported here: agents need two modules of this room, and not the engines that the others run on.
"""
