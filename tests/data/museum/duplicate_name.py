# challenge: NOT_APPLIED
# bind: unchecked, shadowed
import subject


def test_case():
    assert subject.double(2) == 5


def test_case():  # noqa: F811
    pass
