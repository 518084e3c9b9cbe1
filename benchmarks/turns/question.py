"""What is asked in the turn that all rows play."""

QUESTION = "What will the weather be in Paris in the next three days?"
