"""What is on a disk image: its files and packages, read from its bytes, with no mount, no root and no boot."""
