"""`python -m switchyard`: the command line, in a checkout after installing what is missing."""

import sys

from switchyard.installation import is_checkout

if is_checkout():
    from switchyard.bootstrap import main
else:
    from switchyard.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
