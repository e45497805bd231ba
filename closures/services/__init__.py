"""Use-cases: each decides (one transaction) or reaches (claim, call, settle); see DESIGN §2."""
