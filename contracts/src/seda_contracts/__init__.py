"""Events, commands, state snapshots and live signals that services share.

The only place where services meet. It knows msgspec and nothing else of the platform.
"""
