"""The web app: pages for the keeper, and the server that shows them."""
