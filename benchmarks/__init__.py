"""asv imports this directory as a package; table.py runs from it as a script. Both say `import harness`.

It goes to the end of the path and never the repository's root: `import reagents` must find the installed package.
"""

import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
