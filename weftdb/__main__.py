"""`python -m weftdb`: the command line."""

import sys

from weftdb.server.main import main

sys.exit(main())
