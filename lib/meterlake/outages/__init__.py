"""Outages: which meters of a feeder were without power at once, and how reliable that makes the grid."""
