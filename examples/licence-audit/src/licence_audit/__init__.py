"""
Audit the licences of the Python environment that this runs in, in five steps that hand work on.

Every step is a pure function from one typed object to the next; who calls whom, and what happens
when a step's answer is refused, belongs to whoever wires them: ``ungoverned`` does it as everybody
does, the agents do it through Seamwork.
"""
