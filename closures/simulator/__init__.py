"""Partners, SMS provider and core ledger as a separate process; imports nothing of ours."""
