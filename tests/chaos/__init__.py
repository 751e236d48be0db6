"""Kills at random moments while the collector misbehaves."""
