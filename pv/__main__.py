"""`python -m pv` is `pv`."""

from pv.cli.main import main

main()
