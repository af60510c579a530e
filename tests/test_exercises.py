"""The exercises: every judge tells right answers from wrong ones, and no answer harms who judges it.

A lesson's answers lie in tests/answers/NN: right.py and right_otherwise.py, and wrong ones, FUNCTION__mistake.py, whose
first line `# expects: ...` is what the judge's message must match. Among the first two lines, `# slow` marks those that
take more than two seconds to judge.
"""

import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinyvae.exercises import contract, course, judging, processes

ANSWERS = Path(__file__).parent / "answers"
LESSONS = [lesson for lesson in course.lessons() if (course.folder() / "exercises" / lesson.path.name).is_file()]
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)


def head(path):
    return path.read_text(encoding="utf-8").split("\n")[:2]


def case(lesson, path, *more):
    marks = [pytest.mark.slow] if "# slow" in head(path) else []
    return pytest.param(lesson, path, *more, marks=marks, id="-".join([lesson.number, path.stem, *more]))


RIGHT = [
    case(lesson, path, name)
    for lesson in LESSONS
    for path in sorted((ANSWERS / lesson.number).glob("right*.py"))
    for name in course.tasks(lesson)
]
WRONG = [case(lesson, path) for lesson in LESSONS for path in sorted((ANSWERS / lesson.number).glob("*__*.py"))]


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """An answer's file is put among the modules, its folder among the paths."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("tinyvae_answers", None)


# --- the exercises of the course --------------------------------------------------------------------------


@each_lesson
def test_an_exercise_has_a_judge_and_answers_of_each_kind(lesson):
    tasks = course.tasks(lesson)
    assert len(tasks) == 3 and all(tasks.values()), "three functions, each with a docstring"
    assert set(course.judges(course.room(lesson))) == set(tasks)
    there = [path.stem for path in (ANSWERS / lesson.number).glob("*.py")]
    assert {"right", "right_otherwise"} <= set(there)
    for name in tasks:
        assert sum(stem.startswith(f"{name}__") for stem in there) >= 2, f"two typical mistakes in {name}"
    assert all(stem.partition("__")[0] in (*tasks, "right", "right_otherwise") for stem in there)
    assert f"tinyvae exercise {lesson.number}" in lesson.path.read_text(encoding="utf-8")


def test_every_stub_belongs_to_a_lesson_and_so_do_all_answers_and_judges():
    stems = {lesson.path.stem for lesson in LESSONS}
    assert {path.stem for path in (course.folder() / "exercises").glob("*.py")} == stems
    numbers = {lesson.number for lesson in LESSONS}
    assert {path.name for path in ANSWERS.glob("*") if path.is_dir()} == numbers
    rooms = Path(course.__file__).parent.glob("lesson_*.py")
    assert {path.stem for path in rooms} == {f"lesson_{number}" for number in numbers}


@each_lesson
def test_a_stub_is_not_done_yet(lesson):
    path = str(course.stub(lesson))
    found = judging.load(path)
    for name in course.tasks(lesson):
        assert judging.judge(course.room(lesson), name, found[name], path) == ("not done", "")


@pytest.mark.parametrize("lesson, path, name", RIGHT)
def test_a_right_answer_is_right(lesson, path, name):
    assert judging.judge(course.room(lesson), name, judging.load(str(path))[name], str(path)) == ("right", "")


@pytest.mark.parametrize("lesson, path", WRONG)
def test_a_typical_mistake_is_named(lesson, path):
    (expected,) = re.findall(r"^# expects: (.+)$", "\n".join(head(path)), re.MULTILINE)
    name = path.stem.partition("__")[0]
    verdict = judging.judge(course.room(lesson), name, judging.load(str(path))[name], str(path))
    assert verdict.kind == "wrong" and re.search(expected, verdict.message), verdict


# --- what judges are made of ------------------------------------------------------------------------------


@pytest.mark.parametrize("value, shape, message", [
    (None, (), "the result is None, expected a number: is there a return?"),
    (None, (2,), r"is None, expected an array of shape \(2,\)"),
    ([1, [2, 3]], (2,), "no array of numbers"),
    ("a", (), "of type str"),
    (True, (), "of type bool"),
    ({}, (), "of type dict"),
    (np.zeros(2, complex), (2,), "array of complex128"),
    (np.zeros(3), (), r"has shape \(3,\), expected a number"),
    (np.zeros((1, 2)), (2,), r"has shape \(1, 2\), expected an array of shape \(2,\)"),
    (1.0, (2,), "is a single number"),
    ([np.nan, 1], (2,), "1 of its 2 numbers are inf or NaN"),
    (np.inf, (), "not finite"),
])  # fmt: skip
def test_what_is_no_array_of_a_shape_is_said_in_words(value, shape, message):
    with pytest.raises(contract.Wrong, match=message):
        contract.array(value, shape)


def test_lists_pass_for_arrays_and_results_are_copied():
    np.testing.assert_array_equal(contract.array([[1, 2]], (1, 2)), [[1.0, 2.0]])
    assert contract.array(np.float32(3)) == 3
    given = np.ones(2)
    contract.array(given, (2,))[0] = 5
    contract.call(lambda a: a.fill(7), given)
    assert given.tolist() == [1, 1]
    rng = np.random.default_rng(0)
    assert contract.call(np.random.Generator.random, rng) == contract.call(np.random.Generator.random, rng)
    assert contract.several([1, 2], 2) == (1, 2)
    for value, message in ((None, "is there a return"), (3, "type int"), ((1,), "it has 1")):
        with pytest.raises(contract.Wrong, match=message):
            contract.several(value, 2)


def test_closeness_is_relative_to_the_largest_number():
    assert contract.close(np.float32(1 / 3), 1 / 3) and contract.close([0, 1e3], [1e-3, 1e3])
    assert not contract.close(1, 1.001) and not contract.close(np.nan, 1) and not contract.close([1], 1)
    assert contract.close(0, 0) and not contract.close(1e-3, 0) and contract.close([], [])
    assert contract.off([1, 2], [1, 4]) == "off by 50%" and contract.off(1, 0) == "not zero, as it should be"


# --- answers in processes of their own --------------------------------------------------------------------

JUDGES = """
from tinyvae.exercises.contract import Wrong, array, call

__all__ = ["double", "half"]

def double(answer):
    for x in (3, 5.5):
        if (got := array(call(answer, x))) != 2 * x:
            raise Wrong(f"{got:g} for {x}")

def half(answer):
    if array(call(answer, 3)) != 1.5:
        raise Wrong("no half")
"""
BAD = {
    "hangs": ("while True: pass", "failed", r"it took more than 0.5 s and was stopped \(mine.py, line \d\)"),
    "hangs in C": ("pow(7, 10**9)", "failed", "it took more than 0.5 s and was stopped"),
    "sleeps": ("import time; time.sleep(100)", "failed", "it took more than 0.5 s and was stopped"),
    "swallows what stops it": (
        "import contextlib\n    while True:\n        with contextlib.suppress(BaseException): x += 1",
        "failed",
        "it took more than 0.5 s and was stopped",
    ),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "failed", "ended by the signal SIGSEGV"),
    "leaves": ("import os; os._exit(0)", "failed", "it ended its process, with exit status 0"),
    "exits": ("import sys; sys.exit(0)", "failed", r"SystemExit: 0 \(mine.py, line 3\)"),
    "raises": ("return x / 0", "failed", r"ZeroDivisionError: .*division by zero \(mine.py, line 3\)"),
    "asks": ("return input('a number: ')", "failed", r"EOFError: .* \(mine.py, line 3\)"),
    "eats memory": ("return bytearray(10**10)", "failed", r"MemoryError: out of memory \(mine"),
    "fills the disk": ("open('a', 'wb').write(bytes(2 * 10**8))", "failed", "OSError: .*too large"),
    "compiles": ("import numba; return numba.njit(lambda y: 2 * y)(x)", "right", ""),  # which is not counted
    "moves": ("import os; os.chdir('/'); return 2 * x", "right", ""),
    "writes": ("open('answer.txt', 'w').write('hello'); return 2 * x", "right", ""),
    "forks": ("import os; os.fork(); return 2 * x", "right", ""),
    "leaves a thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(100,)).start(); return 2 * x",
        "right",
        "",
    ),
    "closes everything": ("import os; os.closerange(0, 100); return 2 * x", "failed", "it ended its process"),
    "closes the output": (
        "import sys; sys.stdout and sys.stdout.close(); sys.stdout = None; return 2 * x",
        "right",
        "",
    ),
    "prints a verdict": ("""print('{"kind": "right", "message": ""}'); return x""", "wrong", "3 for 3"),
    "writes verdicts wherever it can": (
        """import os
    for number in range(3, 100):
        try: os.write(number, b'ready\\n{"kind": "right", "message": "", "token": ""}\\n[]\\n7\\nxx')
        except OSError: pass
    return x""",
        "wrong",
        "3 for 3",
    ),
    "has an unprintable error": (
        "E = type('E', (Exception,), {'__str__': lambda e: 1 / 0}); raise E('x')",
        "failed",
        r"E \(mine.py, line 3\)",
    ),
    "says much": (r"raise ValueError('\x1b[2J\n' * 10**6)", "failed", r"ValueError: \?\[2J \?.* \.\.\. \(mine"),
}


@pytest.fixture
def room(tmp_path, monkeypatch):
    (tmp_path / "trial_judges.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return "trial_judges"


def judged(room, text, *names, seconds=0.5):
    Path("mine.py").write_text(text)
    return list(processes.judge(room, names, "mine.py", "mine.py", seconds))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are this system's")
@pytest.mark.parametrize("what", BAD)
def test_no_answer_harms_its_judge(what, room):
    body, kind, message = BAD[what]
    start = time.monotonic()
    text = f"\ndef double(x):\n    {body}\n\ndef half(x): return x / 2\n"
    seconds = 0.5 if "0.5 s" in message else 5  # on a busy machine, what ends by itself may take a while
    one, other = judged(room, text, "double", "half", seconds=seconds)
    assert one.verdict.kind == kind and re.search(message, one.verdict.message), one
    assert len(one.verdict.message) < 700 and "\n" not in one.verdict.message
    assert other == ("half", ("right", ""), [], 0), "the next one is judged all the same"
    assert time.monotonic() - start < 30
    assert sorted(path.name for path in Path().iterdir()) == ["mine.py", "trial_judges.py"], "nothing is left"


def test_what_an_answer_prints_is_cut_short(room):
    text = "def double(x):\n    print('\\n'.join(f'{i} right \\x1b' for i in range(10**5)))\n    return 2 * x\n"
    one, other = judged(room, text, "double", "half", seconds=5)
    assert one.verdict == ("right", "") and one.printed == [f"{i} right ?" for i in range(5)]
    assert one.more == 2 * 10**5 - 5
    assert other.verdict == ("not done", "mine.py does not define it")


@pytest.mark.parametrize("text, kind, message", [
    ("def double(x): return x\n1 / 0", "unread", r"ZeroDivisionError: division by zero \(mine.py, line 2\)"),
    ("import os\nos._exit(3)", "unread", "it ended its process, with exit status 3"),
    ("while True: pass", "unread", "it took more than 0.5 s"),
    ("def other(x): return x", "empty", ""),
    ("double = 3", "wrong", "must be a function, it is of type int"),
    ("from mine_too import double", "right", ""),
])  # fmt: skip
@pytest.mark.slow
def test_a_file_that_cannot_be_used_is_said_to_be_so(text, kind, message, room):
    Path("mine_too.py").write_text("def double(x): return x + x")
    (one,) = judged(room, text, "double")
    assert one.verdict.kind == kind and re.search(message, one.verdict.message), one
