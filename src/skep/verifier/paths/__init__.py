"""Which paths are followed, and which need not be because they are known already."""
