"""The product's settings with the bare endpoint instead of its addresses, and without its middleware."""

from config.settings.test import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.bare_urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
