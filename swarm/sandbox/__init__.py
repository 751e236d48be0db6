"""The rehearsal collector: accepts packets as the real one does, on loopback, into a local file."""
