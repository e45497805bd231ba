"""The admin of people and what they hold: the site, the base, one file per noun."""

from accounts.admin import site

site.install()

from accounts.admin import (  # noqa: E402, F401 - importing them registers their pages
    agreements,
    audit,
    customers,
    lines,
    products,
    regulations,
    security,
    staff,
)
