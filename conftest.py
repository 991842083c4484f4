"""
Let property tests try the same examples on every run of the suite, and new ones when asked.

``pytest --hypothesis-profile=searching`` looks for counter-examples further afield; one that it finds becomes
a case. No profile has a deadline, nor minds examples that are made slowly: on a busy machine that is no bug.
"""

from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow,)

settings.register_profile(
    "fixed", derandomize=True, deadline=None, print_blob=True, suppress_health_check=SLOW
)
settings.register_profile(
    "searching", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=SLOW
)
settings.load_profile("fixed")
