# run: WRONG_TARGET ran on cuda-interpreted
def test_case(pv):
    pv.ran_on({"target": "cuda-interpreted"})
