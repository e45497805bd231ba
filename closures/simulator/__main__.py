"""`python -m closures.simulator`: the same process as `manage.py simulate`, without Django's start."""

import argparse
import sys

from closures.simulator import command

parser = argparse.ArgumentParser(
    prog="simulator", description="Partners, SMS provider and core ledger, simulated"
)
command.add_arguments(parser)
sys.exit(command.run(parser.parse_args()))
