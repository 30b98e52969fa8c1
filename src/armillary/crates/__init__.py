"""What a result was made of, as documents that anybody can check: no database, no network, no clock.

The platform writes them, the client and `armillary verify` read them, each without the other.
"""
