"""`python -m gcpose_trt` is `gcpose-trt`."""

import sys

from gcpose_trt.cli import main

sys.exit(main())
