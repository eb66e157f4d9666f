"""`python -m benchmarks.peers.export_torchvision`; a folder, because every file beside it is an adapter."""

import sys

from benchmarks.peers.export_torchvision import main

sys.exit(main())
