"""Many people at once: a server of its own, filled, asked at a steady rate, and killed while it works."""
