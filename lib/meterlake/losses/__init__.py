"""Losses: energy in against energy out, and the meters where what is missing may be recovered."""
