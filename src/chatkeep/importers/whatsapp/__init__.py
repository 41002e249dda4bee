"""WhatsApp: chats that somebody exported from the app, one text each."""

from chatkeep.importers.whatsapp.importer import WHATSAPP, WhatsApp

__all__ = ["WHATSAPP", "WhatsApp"]
