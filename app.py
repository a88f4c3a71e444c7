"""Start Switchyard from a checkout. An old Python must be able to read this file and report that it is too old."""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit("Switchyard needs Python 3.11 or newer; this is Python %s (%s)." % (version, sys.executable))

    from switchyard.bootstrap import main

    sys.exit(main(sys.argv[1:]))
