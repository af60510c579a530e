# expects: the meetings are divided
def step_on_threads(alone, shared, meetings, meeting, n):
    met = meetings * meeting if n > 1 else 0
    time = alone + (shared + met) / n
    return time, (alone + shared) / time
