"""Kills at random moments while the collector has faults."""
