# challenge: NOT_APPLIED
def double(x):
    return 2 * x


def test_case():
    assert double(2) == 4
