"""What tests of Chatkeep, and of anything that joins it, are built from: suites, strategies, storages that lie."""
