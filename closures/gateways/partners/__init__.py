"""Partners who hold agreements: one protocol (base), one registry, one file per way of reaching them."""
