"""The worker agent: claims jobs over HTTPS, runs them, brings their results back.

It arrives in a virtual machine as one archive inside the user data: standard library only, Python 3.9 or later, nothing
imported from the rest of Armillary. The machine needs no inbound connection; everything is asked for from here.

    python3 agent.pyz --config CONFIG.json

Two processes: the *agent* (`worker`, `job`) talks to the platform, its child the *keeper* starts the jobs, limits them and
ends them. Neither outlives the other with jobs running.

Promises:
    - A job runs only while its lease is held. Seconds are counted from when the last good renewal was *sent*, on a clock
      that does not jump; at 80 % of the lease without news the keeper ends the job, before anybody else may get it, even
      when the agent hangs.
    - A result is reported once: the finish record lies on disk before it is sent, until it is acknowledged.
    - A job leaves nothing: its processes, even those that ran away from their group, and its scratch go.
    - A restarted agent ends what an earlier one left running. In a copy of another machine it forgets that one's session.

Exit status: 0 after `bye`, 1 when the keeper died, 2 for a bad configuration, 3 when the platform refuses us.
"""
