"""Reading what catalogues and pages say about a track: bytes in, cleaned fields out.

Everything here is total: whatever the bytes, a reader answers within a bound and never raises.
"""
