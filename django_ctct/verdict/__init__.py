"""What the tables say about contacts, in words: for the pages of staff and for the commands alike.

``words`` has the phrases, ``difference`` the lists of one contact side by side, ``standing`` the one sentence on how
it stands, ``journal`` what was written, ``outlook`` what would be done for everybody. It reads the tables, writes
nothing and calls nobody; no policy lives here, what will happen is asked of ``planning``. It may import what stands
below it, and neither adapters nor wires.
"""
