"""The stories of a closing, told on real parts; `make demo` and tests/journeys run the same functions."""
