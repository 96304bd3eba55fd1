"""Real servers for tests, started without containers; the embedded ones come from tally.servers."""
