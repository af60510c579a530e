"""`tinyvae lessons` and `tinyvae exercise`."""

import configparser
import fnmatch
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinyvae as tv
from tinyvae import cli
from tinyvae.exercises import course

ANSWERS = Path(__file__).parent / "answers"
LESSON = '''"""A title

Question: how much is
twice as much?

More.
"""

# %% [markdown]
# **Needs:** nothing. About
# 3 minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

FIGURES = (Path(__file__).parent if "__file__" in globals() else Path()) / "figures"
FIGURES.mkdir(exist_ok=True)
fig, ax = plt.subplots()
fig.savefig(FIGURES / "00_title.png", dpi=20)

# %%
assert 1 + 1 == 2
print("Headline: 2")
'''
STUB = '''"""Exercises."""


def double(x):
    """Twice a number.

    x: a number.
    """
    raise NotImplementedError


def half(x):
    """Half a number."""
    raise NotImplementedError
'''
JUDGES = """
from tinyvae.exercises.contract import Wrong, array, call

__all__ = ["double", "half"]

def double(answer):
    if array(call(answer, 3)) != 6:
        raise Wrong("not twice as much")

def half(answer):
    if array(call(answer, 3)) != 1.5:
        raise Wrong("not half as much")
"""
DOUBLE, HALF = "def double(x): return 2 * x\n", "def half(x): return x / 2\n"


def run(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A course of two lessons, one of them with exercises; the folder is another one, and the current one."""
    lessons, here = tmp_path / "lessons", tmp_path / "here"
    (lessons / "exercises").mkdir(parents=True)
    here.mkdir()
    (lessons / "00_title.py").write_text(LESSON)
    (lessons / "07_broken.py").write_text('"""Broken\n\nQuestion: why?\n"""\n\n# %%\n1 / 0\n')
    (lessons / "exercises" / "00_title.py").write_text(STUB)
    (lessons / "README.md").write_text("hello")
    (tmp_path / "trial_00.py").write_text(JUDGES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(course, "folder", lambda: lessons)
    monkeypatch.setattr(course, "ROOM", "trial_{}")
    monkeypatch.chdir(here)
    yield lessons
    sys.modules.pop("trial_00", None)


def patched(small, *words):
    """The command, in a process of its own, on the small course."""
    code = (
        "import sys, pathlib; from tinyvae import cli; from tinyvae.exercises import course;"
        f"course.folder = lambda: pathlib.Path({str(small)!r}); course.ROOM = 'trial_{{}}';"
        f"sys.exit(cli.main({list(words)!r}))"
    )
    return [sys.executable, "-c", code]


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def tree(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("command", ["lessons", "exercise"])
def test_the_help_has_examples(command, capsys):
    assert run("--help") == 0 and f"    {command} " in capsys.readouterr().out
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"  tinyvae {command} 05" in text.split("examples:")[1] and max(map(len, text.splitlines())) <= 118


# --- lessons ----------------------------------------------------------------------------------------------


def test_lessons_are_listed_with_question_and_minutes(small, capsys):
    assert run("lessons") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["00  A title (3 minutes)", "    How much is twice as much?", "07  Broken", "    Why?"]
    assert tree() == [], "no folder is made"


def test_every_lesson_of_the_course_has_a_title_and_a_question():
    lessons = course.lessons()
    assert lessons
    for lesson in lessons:
        assert lesson.title and lesson.question.endswith("?"), lesson.path.name
        assert lesson.minutes or "**Needs:**" not in lesson.path.read_text(encoding="utf-8"), lesson.path.name
    assert course.find(str(int(lessons[0].number))) == course.find(lessons[0].path.name) == lessons[0]


@pytest.mark.parametrize("word", ["00", "0", "00_title", "lessons/00_title.py"])
def test_a_lesson_puts_its_figures_into_out(word, small, capsys):
    assert run("lessons", word, "--out", "some/where") == 0
    out = capsys.readouterr().out.splitlines()
    figure = str(Path("some", "where", "figures", "00_title.png"))
    assert out[0] == "Headline: 2" and out[-1] == f"Written: {figure}"
    assert tree() == [figure] and tree(small / "exercises") == ["00_title.py"]
    assert not (small / "figures").exists()


def test_an_error_in_a_lesson_is_not_hidden(small):
    here = os.getcwd()
    with pytest.raises(RuntimeError, match="lesson 07 ended early") as error:
        run("lessons", "07")
    assert isinstance(error.value.__cause__, ZeroDivisionError) and os.getcwd() == here


@pytest.mark.parametrize("error, said", [
    ("OSError(28, 'No space left')", "[Errno 28] No space left"),
    ("MemoryError()", "not enough memory: it is full"),
])  # fmt: skip
def test_what_the_machine_lacks_is_said_in_one_line(error, said, small, capsys):
    (small / "07_broken.py").write_text(f'"""Broken"""\nraise {error}\n')
    assert run("lessons", "07") == 2
    assert capsys.readouterr().err == f"tinyvae lessons: {said}\n"


@pytest.mark.skipif(os.name != "posix", reason="a shell's pipe")
def test_a_lesson_whose_reader_goes_away_ends_without_a_word(small):
    (small / "07_broken.py").write_text('"""Broken"""\nprint("one", flush=True)\nwhile True: print("more")\n')
    process = subprocess.Popen(
        patched(small, "lessons", "07"), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"one\n"
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait(20) == 141


def test_a_copy_is_whole_and_replaces_nothing(small, capsys):
    assert run("lessons", "--copy", "mine") == 0
    whole = ["00_title.py", "07_broken.py", "README.md", "exercises/00_title.py"]
    assert tree("mine") == whole
    assert "2 lessons in mine" in capsys.readouterr().out
    assert subprocess.run([sys.executable, "mine/00_title.py"], capture_output=True).stdout == b"Headline: 2\n"
    assert tree("mine") == sorted([*whole, "figures/00_title.png"])

    Path("mine/07_broken.py").unlink()
    Path("mine/00_title.py").write_text("my own")
    assert run("lessons", "--copy", "mine") == 2
    assert "00_title.py is there already, and is another" in capsys.readouterr().err
    assert Path("mine/00_title.py").read_text() == "my own" and not Path("mine/07_broken.py").exists()

    assert run("lessons", "00", "--copy", "one") == 0
    assert tree("one") == ["00_title.py", "exercises/00_title.py"]


def test_a_lesson_s_own_file_is_run_by_its_path(small, capsys):
    assert run("lessons", small / "00_title.py") == 0
    assert "Headline: 2" in capsys.readouterr().out


def test_what_the_course_is_made_of_is_installed():
    root = Path(__file__).parents[1]
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    patterns = [word.strip() for word in config["options.package_data"]["tinyvae.lessons"].split(",")]
    for path in [
        course.folder() / "README.md",
        *course.folder().glob("exercises/*.py"),
        *course.folder().glob("pages/*"),
    ]:
        name = path.relative_to(course.folder()).as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name


# --- exercise ---------------------------------------------------------------------------------------------


def test_exercises_are_listed_and_printed(small, capsys):
    assert run("exercise") == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "00  A title",
        "    double: Twice a number.",
        "    half: Half a number.",
    ]
    assert run("exercise", "0") == 0
    assert capsys.readouterr().out == STUB
    assert tree() == []


@pytest.mark.parametrize("text, status, lines", [
    (DOUBLE + HALF, 0, ["double  right", "half    right", "2 of 2 are right."]),
    (DOUBLE, 1, ["double  right", "half    not done yet: my file.py does not define it", "1 of 2 is right."]),
    (STUB, 1, ["double  not done yet", "half    not done yet", "0 of 2 are right."]),
    (
        "def double(x):\n    print('so:', x)\n    return x\ndef half(x): return 1 / (x - 3)",
        1,
        [
            "double  wrong: not twice as much",
            "  | so: 3",
            "half    failed: ZeroDivisionError: division by zero (my file.py, line 4)",
            "0 of 2 are right.",
        ],
    ),
])  # fmt: skip
def test_a_file_of_answers_is_judged(text, status, lines, small, capsys):
    Path("my file.py").write_text(text)
    assert run("exercise", "00", "--check", "my file.py") == status
    assert capsys.readouterr().out.splitlines() == lines
    assert tree() == ["my file.py"]


@pytest.mark.parametrize("words, message", [
    (["exercise", "99"], "exercise: there is no lesson '99'; there are 00, 07"),
    (["exercise", "x.py"], "there is no lesson 'x.py'"),
    (["lessons", "²"], "there is no lesson '²'"),
    (["exercise", "07"], "exercise: lesson 07 has no exercises; those that have are 00"),
    (["exercise", "07", "--check", "other.py"], "lesson 07 has no exercises"),
    (["exercise", "00", "--check", "none.py"], "--check none.py: there is no such file"),
    (["exercise", "00", "--check", "."], "--check .: this is a folder, give the file of your answers"),
    (["exercise", "00", "--check", os.devnull], f"--check {os.devnull}: this is no file on a disk"),
    (["exercise", "00", "--check", "syntax.py"], "syntax.py, line 2: SyntaxError: "),
    (["exercise", "00", "--check", "zero.py"], "zero.py is no text in UTF-8: save your answers as a plain Python file"),
    (["exercise", "00", "--check", "bytes.py"], "bytes.py"),
    (["exercise", "00", "--check", "other.py"], "other.py defines none of the exercises of lesson 00, double, half"),
    (["exercise", "00", "--check", "raises.py"], "raises.py could not be run: KeyError: 'x' (raises.py, line 1)"),
    (["exercise", "00", "--check", "other.py"], "start with tinyvae exercise 00 > mine_00.py"),
    (["exercise", "--check", "other.py"], "give its number: tinyvae exercise 05 --check other.py"),
    (["exercise", "00", "other.py"], "unrecognized arguments: other.py; to judge a file: --check other.py"),
    (["exercise", "00", "--copy"], "unrecognized arguments: --copy (see"),
    (["exercise", ""], "there is no lesson ''"),
    (["lessons", ""], "there is no lesson ''"),
    (["exercise", "00", "--seconds", "3"], "without --check nothing is judged: leave out --seconds"),
    (["exercise", "00", "--check", "other.py", "--seconds", "0"], "must be a number of at least 0.1"),
    (["lessons", "--out", "x"], "without a lesson's number none is run: leave out --out"),
    (["lessons", "00", "--copy", "x", "--out", "y"], "no lesson is run: leave out --out"),
    (["lessons", "--copy", "other.py"], "other.py is a file, and is to be a folder: give another one"),
    (["lessons", "--copy", "other.py/x"], "other.py is a file, and is to be a folder"),
    (["lessons", "00", "--out", "other.py"], "other.py is a file, and is to be a folder"),
    (["lessons", "00_title.py"], "00_title.py is not the lesson as it came: run your copy with python 00_title.py"),
])  # fmt: skip
def test_a_wrong_word_gives_one_line_and_status_2(words, message, small, capsys):
    files = {
        "syntax.py": b"x = 1\ndef double(x) return\n",
        "zero.py": b"x = 1\0",
        "bytes.py": b"x = '\xff\xfe'",
        "other.py": b"y = 1",
        "raises.py": b"{}['x']",
        "00_title.py": b"print('edited')",
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    assert run(*words) == 2
    text = capsys.readouterr()
    assert len(text.err.splitlines()) == 1 and message in text.err and not text.out
    assert tree() == sorted(files)


def test_answers_to_another_lesson_are_sent_there(small, capsys):
    (small / "exercises" / "07_broken.py").write_text(STUB.replace("half", "third"))
    Path("mine.py").write_text("def third(x): return x / 3\n")
    assert run("exercise", "00", "--check", "mine.py") == 2
    assert "it holds lesson 07's, tinyvae exercise 07 --check mine.py" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_ends_an_answer_that_hangs(small):
    Path("mine.py").write_text("import os, time\ndef double(x):\n    print(os.getpid())\n    time.sleep(100)\n")
    words = patched(small, "exercise", "00", "--check", "mine.py", "--seconds", "60")
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and err == b"tinyvae exercise: interrupted, nothing was written\n"
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(small.parent) not in left


REAL = [lesson for lesson in course.lessons() if (ANSWERS / lesson.number / "right.py").is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("lesson", REAL[::4], ids=lambda lesson: lesson.path.stem)
def test_the_command_judges_real_answers(lesson, tmp_path):
    def check(path):
        words = [sys.executable, "-P", "-m", "tinyvae", "exercise", lesson.number, "--check", path, "--seconds", "60"]
        env = os.environ | {"PYTHONPATH": str(Path(tv.__file__).parents[1])}
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8")

    done = check(ANSWERS / lesson.number / "right.py")
    assert done.returncode == 0 and "3 of 3 are right." in done.stdout, done.stdout + done.stderr
    wrong = sorted((ANSWERS / lesson.number).glob("*__*.py"))[0]
    done = check(wrong)
    assert done.returncode == 1 and f"{wrong.stem.partition('__')[0]} " in done.stdout and "wrong: " in done.stdout
    done = check(course.stub(lesson))
    assert done.returncode == 1 and done.stdout.count("not done yet") == 3
