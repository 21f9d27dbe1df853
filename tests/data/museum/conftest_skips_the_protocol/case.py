# run: ERROR did not finish
def test_case():
    assert False
