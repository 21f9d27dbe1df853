# run: FAIL expected at most 0.001
def test_case(pv):
    try:
        pv.record("error", 0.5, limit=1e-3)
    except AssertionError:
        pass
