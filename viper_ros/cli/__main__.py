"""`python -m viper_ros.cli`: the `viper` command of this Python, for processes that start others."""

import sys

from viper_ros.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
