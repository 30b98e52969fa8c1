"""Commands under HTCondor's names, for the habit and for programs that drive HTCondor."""
