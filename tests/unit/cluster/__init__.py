"""Unit tests of the cluster, without Dask."""
