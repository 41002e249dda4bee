"""For programs of a server under trial: each is known to the imitated clouds by the number of its process."""

import os

_base = os.environ.get("CLOUDS_UNDER_TRIAL")
if _base:
    os.environ["CHATKEEP_CLOUD_BASE"] = f"{_base}/by-{os.getpid()}"
