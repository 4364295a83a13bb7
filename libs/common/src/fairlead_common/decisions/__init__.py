"""The pure decisions that both a control service and the edge run: conditions, ranking, route plans, breakers.

Nothing here awaits, reads a clock, draws a random number or logs: time and draws come in as arguments, so the same code
decides in the live service, in a replay, in a drill and in a test.
"""
