"""Amounts in threes, as every bank prints them; Django groups nothing in Chinese."""

NUMBER_GROUPING = 3
THOUSAND_SEPARATOR = ","
DECIMAL_SEPARATOR = "."
