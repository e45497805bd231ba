"""Everything that leaves the process: partners, the core ledger, the notice channels."""
