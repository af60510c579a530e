# expects: a single thread meets nobody
def step_on_threads(alone, shared, meetings, meeting, n):
    time = alone + shared / n + meetings * meeting
    return time, (alone + shared) / time
