# run: ERROR finite
def test_case(pv):
    pv.record("error", float("nan"), limit=1e-3)
