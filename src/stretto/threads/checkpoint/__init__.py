"""What a thread is on disk.

types.py       which types a state declares, and which of them would not come back as themselves
serializer.py  the strict serializer
sqlite.py      the saver in one file          rows.py    what is asked of its tables
writer.py      which turn may write to it     memory.py  a saver that forgets
items.py       messages, each kept once       packed.py  values as rows
seeds.py       what a DeltaChannel needs
"""
