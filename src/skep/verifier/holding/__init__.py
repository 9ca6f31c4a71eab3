"""What has to be given back, and where it is held: references, locks, sections."""
