"""Extracts of the core ledger and of the partners, read line by line and kept batch by batch."""
