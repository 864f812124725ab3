"""The command `seda`: what events there are, who takes them, what died, and how to give it back.

It stands outside the services and reads what they leave at the broker and in their outboxes. It
makes no consumer and no stream, so that looking never changes what is looked at.
"""
