"""What a thread is on disk.

types.py       which types a state declares, and which of them would not come back as themselves
serializer.py  the strict serializer            sqlite.py  the saver in one file
pruned.py      savers that let go of what a retention does not keep
"""
