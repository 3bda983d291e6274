"""Collect, solve, validate, sign and check calibrations."""
