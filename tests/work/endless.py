"""A module that never finishes loading, as an engine that compiles seems to."""

import sys
import time

if "multiprocessing.forkserver" in " ".join(sys.orig_argv):
    time.sleep(600)
