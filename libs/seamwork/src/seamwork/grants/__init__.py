"""Sign, verify, narrow: who may do what, proved by bytes alone."""
