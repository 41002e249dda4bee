"""A person's link to an account and folder, the safe for its secrets, and the opening of what it leads to.

The modules, from the bottom: `secret` (this installation's secret), `safe` (sealed values), `models` (Device,
Connection), `opening` (a storage, a vault), `connecting` (connect, join, test, disconnect), `kit` (the emergency kit),
`start` (Django with app.sqlite3, for a program that is no web server).
"""
