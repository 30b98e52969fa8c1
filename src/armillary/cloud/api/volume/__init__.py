"""Block Storage v3 (Cinder), minimal."""
