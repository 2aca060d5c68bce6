"""`python -m reagents`: a tour that runs the real thing and shows it."""

import sys

from reagents.tour import main

if __name__ == "__main__":
    sys.exit(main())
