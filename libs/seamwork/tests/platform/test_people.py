"""Who the people of a platform are, as everybody who asks them counts it."""

import pytest

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.errors import UnprocessableError
from seamwork.grants.keys import SigningKey
from seamwork.platform.people import people_in, refuse_unasked, refuse_unheard
from seamwork.records.verdict import Approvers
from seamwork.testing.documents import document


def test_a_person_is_listed_once_as_who_they_are_now() -> None:
    """A role that a newer version took away is none, and whoever has left is nobody."""
    ada, later = (
        document("Person", "ada", roles=roles, version=version)
        for roles, version in ((["legal", "finance"], "1.0.0"), (["legal"], "1.1.0"))
    )
    gone = document("Person", "gone", roles=["legal"])
    left = {("Person", "gone", "1.0.0"): (Activation("active", None, 0), Activation("retired", None, 5))}
    catalog = Catalog.of((ada, later, gone), left)

    assert [("ada", "1.1.0", ("legal",))] == [
        (one.name, one.version, tuple(one.spec.roles)) for one in people_in(catalog, 5)
    ]
    assert ("ada", "gone") == tuple(one.name for one in people_in(catalog, 4))


def test_what_nobody_would_believe_is_not_said() -> None:
    """Who reads it passes over it: an approval that came to nothing would be found out at the deadline."""
    mine, former = SigningKey("person-ada-1", b"a" * 32), SigningKey("person-ada-1", b"b" * 32)
    ada = document("Person", "ada", key={"kid": mine.kid, "public": mine.public})
    left = {("Person", "ada", "1.0.0"): (Activation("active", None, 0), Activation("revoked", None, 5))}

    refuse_unheard(Catalog.of([ada]), "ada", mine)
    with pytest.raises(UnprocessableError, match="the key person-ada-1 here is not the one of Person ada 1"):
        refuse_unheard(Catalog.of([ada]), "ada", former)
    with pytest.raises(UnprocessableError, match="ada is not in force, so nothing that ada signs counts"):
        refuse_unheard(Catalog.of([ada], left), "ada", mine)


def test_an_answer_of_somebody_who_is_not_asked_is_not_said() -> None:
    """It would change nothing, and whoever typed it would take the matter for answered."""
    catalog = Catalog.of([document("Person", "ada", roles=["legal", "finance"])])
    finance, grace = Approvers(roles=("finance",)), Approvers(people=("grace",), count=1)

    refuse_unasked(catalog, "ada", ())
    refuse_unasked(catalog, "ada", (grace, finance))
    refuse_unasked(catalog, "ada", (Approvers(people=("ada",)),))
    with pytest.raises(
        UnprocessableError, match="ada is legal, finance, and asked is 1 of grace, so the answer"
    ):
        refuse_unasked(catalog, "ada", (grace,))
