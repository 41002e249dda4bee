"""An imitation of OneDrive and of Microsoft's sign-in: as much as clients use, kept strictly."""

from fakes.microsoft.fake import MicrosoftFake

__all__ = ["MicrosoftFake"]
