# run: TIMEOUT start-up
def test_case():
    assert True
