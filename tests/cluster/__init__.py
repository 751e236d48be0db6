"""The cluster: real schedulers, real workers, real loss."""
