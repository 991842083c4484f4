"""
Let property tests try the same examples on every run of the suite, and new ones when asked.

``pytest --hypothesis-profile=searching`` looks for counter-examples further afield; one that it finds becomes
a case. No profile has a deadline: on a busy machine a slow example is no bug.
"""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("searching", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("fixed")
