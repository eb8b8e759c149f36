"""Validation, estimation and editing (VEE) of the current readings."""
