# run: ERROR not found
def test_case():
    assert False
