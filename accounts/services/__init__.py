"""Use-cases on people and what they hold."""
