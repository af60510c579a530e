# expects: each other thread
def step_on_threads(alone, shared, meetings, meeting, n):
    met = meetings * meeting if n > 1 else 0
    time = alone + shared / n + (n - 1) * met
    return time, (alone + shared) / time
