"""Claude Code: the transcripts of its sessions, with those of sub-agents."""

from chatkeep.importers.claude_code.importer import CLAUDE_CODE, ClaudeCode

__all__ = ["CLAUDE_CODE", "ClaudeCode"]
