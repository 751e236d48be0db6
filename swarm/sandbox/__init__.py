"""The rehearsal collector: takes packets as the real one does, on loopback, into its own file."""
