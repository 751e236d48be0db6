"""What tests work with: a workspace, a collector, terminals, processes."""
