"""What the portal works out by itself: pure."""
