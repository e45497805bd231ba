"""How fast it is, in ratios within one run: `make bench`. Never part of the tests, never pass or fail."""
