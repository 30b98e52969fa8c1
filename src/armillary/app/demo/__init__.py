"""The golden path on real input, with the stock clients: the demo, and the first end-to-end test."""
