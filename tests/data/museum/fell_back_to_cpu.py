# run: WRONG_TARGET ran on cpu
# target: cuda
def test_case(pv):
    pv.ran_on({"target": "cpu", "reason": "no driver"})
