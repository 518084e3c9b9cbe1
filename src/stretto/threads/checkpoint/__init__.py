"""What a thread is on disk.

types.py       which types a state declares, and which of them would not come back as themselves
serializer.py  the strict serializer
saver.py       the saver                      rows.py    what is asked of its tables
writer.py      which turn may write to it     sqlite.py, postgres.py  on what it stands
items.py       messages, each kept once       packed.py  values as rows
tips.py        where threads stand            reading.py for those who only look
memories.py    langgraph's Store: what is remembered across threads
memory_batch.py  its operations as one transaction; matching.py filters
seeds.py       what a DeltaChannel needs
"""
