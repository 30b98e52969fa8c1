"""What people are told, and how: in the portal, by mail, and by a POST to an address of theirs. Once for each event."""
