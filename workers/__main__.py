"""`python -P -m workers`: the command line without its script, whatever directory it is run from."""

from workers.cli import main

main()
