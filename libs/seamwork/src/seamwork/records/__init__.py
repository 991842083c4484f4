"""The frozen types of everything on the wire, and how they are read and written."""
