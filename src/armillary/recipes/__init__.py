"""Base images: a recipe in, a bootable qcow2 with a manifest and a digest out."""
