# challenge: NOT_APPLIED
# bind: constant
def test_case():
    assert 1 + 1 == 2
