"""Channels on which notices travel: one protocol (base), one registry, one file per rung."""
