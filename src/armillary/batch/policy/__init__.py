"""The policies that jobs bring along: ClassAd expressions over the job, looked at when it ends and once a minute."""
