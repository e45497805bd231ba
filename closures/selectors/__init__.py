"""Reads that span aggregates, shaped for a reader."""
