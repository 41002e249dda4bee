"""What other programs may ask of Chatkeep over HTTP: docs/guide/api.md, and /api/v1/openapi.json.

`door` is what a request passes: token, rate, idempotency, errors as problems. `routes` has the operations, `values`
what they take and give, `tokens` who may what, `pushing` how conversations come in. Nothing of django-ninja is loaded
before the first request, so that an app that nobody asks starts as fast as before.
"""
