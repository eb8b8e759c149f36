"""Putting right what went wrong: quarantine, backfill and restore. Nothing here writes a reading of its own.

Everything follows from bronze. A recovery names a scope (a period, or the meter-days of some lines), judges the scope's
lines again by today's code and declarations (restage.py), and the usual steps recompute what depends on it.
"""
