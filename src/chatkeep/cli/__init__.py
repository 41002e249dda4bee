"""The command line, for people and for scripts.

Every command has `--json`; the exit code is 0 done, 1 failed, 2 wrong use, 3 done with problems, 130 stopped
with Ctrl-C, as shells have it. Results go to standard output; progress, questions and errors to standard error. A
command loads what it needs and no more.
"""

from __future__ import annotations

import sys

import click

from chatkeep import __version__
from chatkeep.cli.lazily import LazyGroup

__all__ = ["cli", "main"]

_COMMANDS = {
    "import": ("chatkeep.cli.importing:import_command", "Bring in exports of chats: files, folders, zips."),
    "list": ("chatkeep.cli.looking:list_command", "List conversations, newest first."),
    "search": ("chatkeep.cli.looking:search", "Find words in all conversations."),
    "show": ("chatkeep.cli.looking:show", "Show one conversation."),
    "export": ("chatkeep.cli.exporting:export", "Write conversations as files to read or keep."),
    "connect": ("chatkeep.cli.connecting:connect", "Connect a place for backups."),
    "connections": ("chatkeep.cli.places:connections", "List connected places, or test one."),
    "reconnect": ("chatkeep.cli.connecting:reconnect", "Sign in anew at a place."),
    "disconnect": ("chatkeep.cli.places:disconnect", "Forget a place; what lies there stays."),
    "backup": ("chatkeep.cli.backing_up:backup", "Save the archive into a vault."),
    "snapshots": ("chatkeep.cli.backing_up:snapshots", "List what can be restored."),
    "restore": ("chatkeep.cli.backing_up:restore", "Get conversations back from a vault."),
    "check": ("chatkeep.cli.backing_up:check", "Verify a vault."),
    "tidy": ("chatkeep.cli.tidying:tidy", "Forget old backups, and remove what nothing needs."),
    "drill": ("chatkeep.cli.backing_up:drill", "Rehearse a restore: does the backup work?"),
    "keys": ("chatkeep.cli.keys:keys", "Say which keys open a vault, test and change them."),
    "sync": ("chatkeep.cli.syncing:sync", "Bring machines that share a vault to the same state."),
    "conflicts": ("chatkeep.cli.syncing:conflicts", "What two machines did differently."),
    "trash": ("chatkeep.cli.undoing:trash", "Put conversations into the trash, or back."),
    "delete": ("chatkeep.cli.deleting:delete", "Delete conversations for good."),
    "forget": ("chatkeep.cli.deleting:forget", "Erase every trace of conversations here."),
    "undo": ("chatkeep.cli.undoing:undo", "Undo an import or a restore."),
    "copies": ("chatkeep.cli.placing:copies", "Write readable copies to a place."),
    "inbox": ("chatkeep.cli.placing:inbox", "Import what was dropped into the inbox of a place."),
    "schedule": ("chatkeep.cli.scheduling:schedule", "See and change what is done by itself."),
    "tokens": ("chatkeep.cli.tokens:tokens", "Say which programs may ask over the API."),
    "status": ("chatkeep.cli.status:status", "Are my chats safe?"),
    "doctor": ("chatkeep.cli.status:doctor", "Look for what is wrong on this machine."),
    "serve": ("chatkeep.cli.serving:serve", "Open the app in the browser."),
    "worker": ("chatkeep.cli.serving:worker", "Do what is scheduled, without the app in the browser."),
    "mcp": ("chatkeep.cli.assisting:mcp", "Let an assistant search and read the archive."),
    "link": ("chatkeep.cli.serving:link", "Print a new link into the app that is running."),
    "server": ("chatkeep.cli.operating:server", "Care for a server that many people use."),
    "completion": ("chatkeep.cli.completion:completion", "Print the completion script of a shell."),
}


@click.group(cls=LazyGroup, lazily=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="chatkeep", message="%(prog)s %(version)s")
def cli() -> None:
    """Save, back up and get back your conversations.

    Start with: chatkeep import EXPORT.zip
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    from chatkeep.cli.ending import run

    sys.exit(run(cli, arguments))
