"""One seed, one life of a register: a made-up chain, endpoints that misbehave, processes that die at any moment.

Everything that happens is chosen by the seed: which process acts next, what becomes of the messages between them, what
the endpoints do, when the chain forks (also between two requests of one step), where a process is killed (before any
SQL statement, before a commit, at any request, at a kick), when the database fails, and what time it is. The processes
run the real follower and the real tasks. At the end the chain stops, and kills and all faults but lies and lost
messages end; after a bounded number of turns every table and every view has to equal the truth that the ledger tells.

`drawn` says what a seed chooses beforehand, `life` what happens in which order, `processes` who acts, `mail` what
becomes of messages, `interruptions` what may happen between two statements, `reader` what somebody reads meanwhile.
"""
