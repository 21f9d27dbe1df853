# run: ERROR no model
def test_case(pv):
    assert pv.model
