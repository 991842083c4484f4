"""Who the people of a platform are, as everybody who asks them counts it."""

from seamwork.catalog import Catalog
from seamwork.catalog.entries import Activation
from seamwork.platform.people import people_in
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
