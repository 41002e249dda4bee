"""Deterministic, realistic chat exports of any size, and the truth about them."""
