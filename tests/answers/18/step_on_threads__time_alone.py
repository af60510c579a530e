# expects: must have 2 parts
def step_on_threads(alone, shared, meetings, meeting, n):
    met = meetings * meeting if n > 1 else 0
    time = alone + shared / n + met
    return time
