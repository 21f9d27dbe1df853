# run: ERROR status 2
# alone: yes
def test_case(request):
    request.session.shouldstop = "enough"
