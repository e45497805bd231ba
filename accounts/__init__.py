"""People and what they hold. Knows nothing of closures."""
