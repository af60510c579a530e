# expects: meetings are left out
def step_on_threads(alone, shared, meetings, meeting, n):
    time = alone + shared / n
    return time, (alone + shared) / time
