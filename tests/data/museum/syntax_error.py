# run: ERROR cannot be collected
def test_case(:
    assert False
