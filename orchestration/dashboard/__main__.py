"""The dashboard as a program of its own, as `journey up` starts it: its argument is the port."""

import sys

from orchestration.dashboard.server import serve
from orchestration.settings import get_settings

if __name__ == "__main__":
    serve(get_settings(), int(sys.argv[1]))
