"""Django's own backend for PostgreSQL, whose connections live when a request gets them."""
