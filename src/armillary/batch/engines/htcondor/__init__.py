"""HTCondor as the engine: our records, a real schedd behind them, and machines that join its pool."""
