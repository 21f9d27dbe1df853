# run: ERROR start-up
def test_case():
    assert True
