"""What carries the cloud's machines: QEMU, or a fake that keeps the same promises."""
