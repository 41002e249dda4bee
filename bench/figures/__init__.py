"""Figures of Chatkeep beside its peers, taken in one run, as whole processes."""
