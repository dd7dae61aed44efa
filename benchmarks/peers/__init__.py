"""The peers: each module has SESSIONS, which makes what does the rounds of a job."""
