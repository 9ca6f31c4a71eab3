"""Random programs through every engine: any difference is a bug, and is kept."""
