"""Give people of a server conversations and a vault at a cloud, in the surroundings of that server.

    python -m crowd.places --conversations 3 < PEOPLE

A line of JSON for each person in, {"number", "provider", "tokens"}, and one out, {"number", "uid", "archive"}.
Everything is as the pages do it, from the moment that the person is back from the provider's page.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from crowd.people import _person, natives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, required=True)
    count = parser.parse_args().conversations
    from chatkeep.connections import start
    from chatkeep.settings import Settings

    settings = Settings.from_environment()
    start.start(settings.home)
    from chatkeep.importers.native import read_native
    from chatkeep.jobs.means import means_of
    from chatkeep.vault import keys

    keys.COST_N = 2**10  # a thousand vaults are made here, which is not what is measured
    means = means_of(settings)
    for line in sys.stdin:
        given = json.loads(line)
        _, archive_id = _person(given["number"])
        archive = means.archive_of(archive_id)
        read = [read_native("chatgpt", value, archive.keep) for value in natives(given["number"], count)]
        archive.apply([conversation for loaded in read for conversation in loaded.conversations], source="load")
        uid = _connect(means.installation_of(archive_id), given["provider"], given["tokens"])
        sys.stdout.write(json.dumps({"number": given["number"], "uid": uid, "archive": archive_id}) + "\n")
        sys.stdout.flush()
    means.close()


def _connect(installation: Any, provider: str, tokens: dict[str, Any]) -> str:
    """A vault in the account that these tokens are for; the uid of the connection."""
    from chatkeep.connections import connecting, consenting, looking
    from chatkeep.connections.keeping import KeptTokens
    from chatkeep.connections.models import Connection
    from chatkeep.providers import Tokens

    consent = consenting.begin(provider, installation=installation, redirect="http://localhost:8765/connect/return")
    given = Tokens(tokens["access"], tokens["refresh"], tokens["expires_at"], tuple(tokens["scopes"]))
    KeptTokens(consent, installation).save(given)
    consent.refresh_from_db()
    looking.look(consent, installation)
    connecting.connect_consented(consent, installation=installation)
    row = Connection.objects.get(archive=installation.archive)
    return str(row.uid)


if __name__ == "__main__":
    main()
