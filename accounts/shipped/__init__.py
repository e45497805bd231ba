"""What every installation starts with: lenders, products, regulations, the work calendar, the roles."""

from accounts.shipped.install import after_migrate

__all__ = ["after_migrate"]
