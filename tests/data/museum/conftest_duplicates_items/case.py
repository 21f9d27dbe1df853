# run: ERROR collected 2 times
def test_case():
    assert True
