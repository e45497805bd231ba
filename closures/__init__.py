"""The process that closes credit products, layer by layer (DESIGN §1)."""
