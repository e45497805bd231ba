"""`python -m tests.benchmarks [name …]`: the named benchmarks, or all but the long ones, on stdout.

A benchmark is a module beside this one with a `main()` that prints its tables; put it into BENCHMARKS.
Each makes and drops its own scratch databases (`harness.scratch`), so none disturbs another.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util

from tests.benchmarks import harness

BENCHMARKS = {
    "bulk": "bulk",
    "import": "imports",
    "closings": "closings",
    "real": "real_accounts",
    "api": "api",
    "campaign": "campaign",
    "scan": "scan",
    "risk": "real_risk",
}
LONG = {"real", "campaign", "risk"}  # run only when named


def main() -> None:
    modules = {name: f"tests.benchmarks.{module}" for name, module in BENCHMARKS.items()}
    written = {name: module for name, module in modules.items() if importlib.util.find_spec(module)}
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(written))
    names = parser.parse_args().names or [name for name in written if name not in LONG]
    if unknown := sorted(set(names) - written.keys()):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(written)}")
    print(harness.machine(), flush=True)
    for name in names:
        print(f"\n# {name}\n", flush=True)
        importlib.import_module(written[name]).main()


if __name__ == "__main__":
    main()
