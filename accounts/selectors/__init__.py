"""Reads on people, products, regulations and the calendar."""
