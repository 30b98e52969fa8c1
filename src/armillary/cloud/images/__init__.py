"""The cloud's images: content-addressed files, with who may see and boot them."""
