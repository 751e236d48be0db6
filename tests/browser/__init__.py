"""What the pages show in a real browser."""
