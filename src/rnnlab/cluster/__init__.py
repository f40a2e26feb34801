"""The jobs of a sweep, on this machine or on the hosts of a cluster that share the workspace."""
