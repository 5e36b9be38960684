"""`--engine`: a method in one C file of the user's, and what may be wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from bench.analysis.environments import differences
from bench.store import reader
from tests.engines.own import IN_A_WINDOW, SUBMIT, sends_nothing, written
from tests.running import ROOT, Bench, Outcome, assert_rounds, unfinish

METHODS = {"interface": ["veth"], "method": ["send", "mine"], "frame_size": [64]}

IMPATIENT = """
import sys
from bench.measure import worker_process
worker_process.ANSWER_SLACK_S = 3.0
from bench.__main__ import main
sys.exit(main())
"""
"""bench, but it waits less than half a minute for a worker that hangs."""


def hash_of(file: Path) -> str:
    return hashlib.sha256(f"{file.name}\n".encode() + file.read_bytes()).hexdigest()


def run(bench: Bench, engine: Path, *arguments: object) -> Outcome:
    return bench("run", bench.matrix(METHODS), "--engine", engine, *arguments)


@pytest.mark.netns
def test_the_template_is_a_row_like_any_other(bench: Bench) -> None:
    assert bench("init", "--engine", "mine.c").code == 0
    axes = METHODS | {"interface": ["lo", "veth"], "threads": [1], "fill": ["copy", "prefilled"]}
    matrix = bench.matrix(axes | {"verify": [False, True], "frame_size": [14, 1514]}, rounds=3)
    outcome = bench("run", matrix, "--engine", "mine.c")
    assert outcome.code == 0, outcome.err
    stored = bench.stored()
    own = [cell for cell in stored.cells if cell.method == "mine"]
    assert len(own) == 16
    assert_rounds(stored, 3)
    assert not stored.failures
    assert all(not s.problem for s in stored.samples)
    assert all(s.threads[0].calls >= s.threads[0].completed > 0 for s in stored.samples)
    assert stored.header.core.engines == {"mine": hash_of(bench.folder / "mine.c")}
    assert f"mine {hash_of(bench.folder / 'mine.c')[:12]}" in outcome.out


@pytest.mark.netns
def test_one_of_a_call_that_takes_a_burst(bench: Bench) -> None:
    axes = METHODS | {"method": ["sendmmsg", "batch"], "burst": [1, 48], "threads": [1]}
    matrix = bench.matrix(axes | {"fill": ["copy", "prefilled"], "frame_size": [14, 1514]})
    outcome = bench("run", matrix, "--engine", ROOT / "tests" / "engines" / "batch.c")
    assert outcome.code == 0, outcome.err
    assert all(not sample.problem for sample in bench.stored().samples)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two threads need two CPUs")
def test_a_stream_may_end_once_the_next_one_has(bench: Bench) -> None:
    """All of them get their signal: a kernel may keep one in its call until others are out."""
    matrix = bench.matrix({"method": ["streams"], "threads": [2]}, rounds=3)
    outcome = bench("run", matrix, "--engine", ROOT / "tests" / "engines" / "streams.c")
    assert outcome.code == 0, outcome.err
    stored = bench.stored()
    assert_rounds(stored, 3)
    assert all(not sample.problem for sample in stored.samples)


@pytest.mark.netns
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (f"if ({IN_A_WINDOW}) *(volatile int *)8 = 1;", "died of SIGSEGV"),
        (f"if ({IN_A_WINDOW}) _exit(0);", "exited with code 0"),
        (f"while ({IN_A_WINDOW}) pause();", "the worker hung"),
    ],
    ids=["crashes", "exits", "hangs"],
)
def test_one_that_ends_its_process_costs_its_own_row(bench: Bench, what: str, reason: str) -> None:
    engine = written(bench.folder, (SUBMIT, f"{what} {SUBMIT}"))
    arguments = ("run", bench.matrix(METHODS), "--engine", engine)
    outcome = bench(*arguments, program=("-c", IMPATIENT))
    assert outcome.code == 4, outcome.err
    stored = bench.stored()
    of_method = {cell.method: cell.id for cell in stored.cells}
    assert [*stored.failures] == [of_method["mine"]]
    assert reason in stored.failures[of_method["mine"]]
    assert {s.cell for s in stored.samples if not s.problem} >= {of_method["send"]}
    assert not bench.processes()


@pytest.mark.netns
def test_one_that_claims_frames_which_it_did_not_send_has_no_figures(bench: Bench) -> None:
    lie = f"count(&thread->counts.submitted, {IN_A_WINDOW});\n\t{SUBMIT}"
    outcome = run(bench, written(bench.folder, (SUBMIT, lie)))
    assert outcome.code == 4, outcome.err
    stored = bench.stored()
    of_method = {cell.id: cell.method for cell in stored.cells}
    lied = [s for s in stored.samples if of_method[s.cell] == "mine"]
    assert lied
    assert all(s.problem for s in lied)
    assert any(not s.problem for s in stored.samples if of_method[s.cell] == "send")


@pytest.mark.netns
def test_one_that_sends_other_frames_than_were_meant_is_told_which(bench: Bench) -> None:
    other = "thread->next[30] ^= 1;\n\treturn syscall(SYS_write"
    outcome = run(bench, written(bench.folder, ("return syscall(SYS_write", other)))
    assert outcome.code == 4, outcome.err
    (reason,) = bench.stored().failures.values()
    assert "payload: byte 30" in reason


BAD = {
    "that does not compile": (
        ("(thread, 1, error);", "(thread, 1, error)"),
        "mine.c:31:47: error: expected ';' before '}' token",
    ),
    "with a call that there is not": (
        ("single_submit(thread, f", "single_sumbit(thread, f"),
        "error: implicit declaration of function 'single_sumbit'",
    ),
    "with a symbol that there is not": (
        (SUBMIT, "extern int nothing(void);\n\treturn nothing() + (int)frames;"),
        "undefined reference to `nothing'",
    ),
    "of a method that there is": (
        ('.name = "mine"', '.name = "sendto"'),
        "mine.c: there is a method sendto already; give it another name",
    ),
    "of a method that is no engine of the core": (
        ('.name = "mine"', '.name = "exec"'),
        "mine.c: there is a method exec already; give it another name",
    ),
    "of a name that will not do": (
        ('.name = "mine"', '.name = "My one"'),
        "mine.c: method 'My one': a name has small letters",
    ),
    "without a method": (("bench_method", "my_method"), "mine.c: it defines no method"),
    "without a help": (
        ('.help = "write() per', '.license = "write() per'),
        "error: 'struct method_info' has no member",
    ),
    "without a hook": (("\t.reap = sock_reap,", ""), "mine.c: method mine lacks reap"),
    "with an option that makes no sense": (
        ('.name = "verify"', '.name = "Verify"'),
        "mine.c: method mine: option Verify: a name has",
    ),
    "with an option of the name of an axis": (
        ('.name = "verify"', '.name = "burst"'),
        "mine.c: method mine declares the option burst, which is an axis of every matrix",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file(bench: Bench, case: str) -> None:
    change, said = BAD[case]
    written(bench.folder, change)
    outcome = bench("plan", bench.matrix(METHODS), "--engine", "mine.c")
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.complaints
    assert said in line
    assert "mine.c" in line


def test_no_file_and_what_is_no_c_file(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe.c")
    for name, said in {
        "pipe.c": "--engine pipe.c: no regular file; name a C file",
        "nothing.c": "--engine nothing.c: No such file or directory; name a C file",
        "m.yaml": "--engine m.yaml: no C file; name one that ends in .c",
    }.items():
        outcome = bench("plan", bench.matrix(METHODS), "--engine", name)
        assert (outcome.code, outcome.complaints) == (2, [said])


def test_two_files_of_one_name(bench: Bench) -> None:
    (bench.folder / "other").mkdir()
    one, two = sends_nothing(bench.folder), sends_nothing(bench.folder / "other")
    outcome = bench("methods", "--engine", one, "--engine", two)
    assert outcome.code == 2
    assert outcome.complaints == [
        f"--engine {two}: a file of this name is there already ({one}); rename one"
    ]
    outcome = bench("methods", "--engine", one, "--engine", one)
    assert outcome.complaints == [f"--engine {one}: it is named twice; name it once"]


def test_no_compiler(bench: Bench) -> None:
    bench.environment["CC"] = "no-such-compiler"
    outcome = bench("methods", "--engine", sends_nothing(bench.folder))
    assert outcome.code == 2
    (line,) = outcome.complaints
    assert "no C compiler: install gcc" in line


def test_a_matrix_alone_compiles_nothing(bench: Bench) -> None:
    sends_nothing(bench.folder)
    outcome = bench("plan", bench.matrix({"method": ["mine"], "frame_size": [64]}))
    assert outcome.code == 2
    assert "method: 'mine' is unknown" in outcome.err


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (".numbering = frame_numbering,", "Segmentation fault"),
        (".memory = frame_memory_single,", "did not return within 5 s"),
    ],
)
def test_a_hook_that_plan_calls_cannot_end_or_stop_bench(
    bench: Bench, hook: str, said: str
) -> None:
    name = hook.split()[0]
    body = "*(volatile int *)8 = 1;" if "fault" in said else "for (;;) pause();"
    kind = f"struct tx_{name[1:]}"
    function = f"static {kind} bad(const struct tx_config *config)\n{{\n\t(void)config;\n\t{body}\n"
    function += f"\treturn ({kind}) {{ 0 }};\n}}\n\nconst struct tx_method bench"
    written(bench.folder, (hook, f"{name} = bad,"), ("const struct tx_method bench", function))
    outcome = bench("plan", bench.matrix(METHODS), "--engine", "mine.c")
    assert outcome.code == 2
    assert all(
        f"mine: its shape, check, memory or numbering: {said}" in c for c in outcome.complaints
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("*(volatile int *)8 = 1;", "Segmentation fault"),
        ("_exit(0);", "ended the process"),
        ("for (;;) pause();", "did not return within 5 s"),
    ],
)
def test_a_constructor_cannot_end_or_stop_bench(bench: Bench, body: str, said: str) -> None:
    """It runs as soon as the file is loaded."""
    bad = f"__attribute__((constructor)) static void bad(void)\n{{\n\t{body}\n}}\n\n"
    method = "const struct tx_method bench"
    written(
        bench.folder,
        (method, bad + method),
        ("#include <sys", "#include <unistd.h>\n#include <sys"),
    )
    outcome = bench("plan", bench.matrix(METHODS), "--engine", "mine.c")
    assert (outcome.code, outcome.complaints) == (2, [f"mine.c: its constructors: {said}"])


def test_a_probe_that_crashes_is_a_reason(bench: Bench) -> None:
    bad = "static int bad(struct core_error *error)\n{\n\terror->code = *(volatile int *)8;\n"
    bad += "\treturn error->code;\n}\n\nconst struct tx_method bench"
    probe = (".probe = sock_probe,", ".probe = bad,")
    written(bench.folder, probe, ("const struct tx_method bench", bad))
    outcome = bench("methods", "--engine", "mine.c", "--format", "json")
    assert outcome.code == 0, outcome.err
    (row,) = [row for row in json.loads(outcome.out)["methods"] if row["method"] == "mine"]
    assert (row["offered"], row["reason"]) == (False, "its probe: Segmentation fault")


def test_its_hash_tells_runs_apart(bench: Bench) -> None:
    engine, axes = sends_nothing(bench.folder), {"method": ["mine", "null"], "frame_size": [64]}
    matrix = bench.matrix(axes)
    assert bench("run", matrix, "--engine", engine).code == 0
    (first,) = bench.files()
    before = hash_of(engine)
    engine.write_text(engine.read_text() + "/* changed */\n")
    unfinish(first)
    outcome = bench("run", matrix, "--engine", engine, "--resume", first)
    assert outcome.code == 2
    assert "it has other C files (--engine) of mine; start a new run" in outcome.err
    assert bench("run", matrix, "--engine", engine).code == 0
    a, b = (reader.read(path).header for path in bench.files())
    (said,) = [d for d in differences([a], [b]) if d.what == "core engines"]
    assert (before in said.a, hash_of(engine) in said.b, said.incomparable) == (True, True, False)
    compared = bench("compare", *bench.files())
    assert "core engines: " in compared.out


def test_a_header_of_its_own_is_a_part_of_it(bench: Bench) -> None:
    engine, header = sends_nothing(bench.folder), bench.folder / "mine.h"
    engine.write_text('#include "mine.h"\n' + engine.read_text())
    matrix = bench.matrix({"method": ["mine"], "frame_size": [64]})
    for text in ("#define A 1\n", "#define A 2\n"):
        header.write_text(text)
        assert bench("run", matrix, "--engine", engine).code == 0
    one, two = (reader.read(path).header.core.engines["mine"] for path in bench.files())
    assert one != two


def test_both_sides_of_ab_have_it_each_with_its_own_core(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "csrc").symlink_to(ROOT / "csrc")
    matrix = bench.matrix({"method": ["mine"], "frame_size": [64]}, rounds=4)
    engine = sends_nothing(bench.folder)
    outcome = bench("ab", matrix, "--engine", engine, "--core-b", tmp_path)
    assert outcome.code in (0, 3, 4), outcome.err  # whatever a few rounds tell
    stored = bench.stored()
    assert not stored.failures
    assert_rounds(stored, 4)


def test_nightly_has_it(bench: Bench) -> None:
    matrix = bench.matrix({"method": ["mine"], "frame_size": [64]})
    outcome = bench("nightly", matrix, "--engine", sends_nothing(bench.folder))
    assert outcome.code in (0, 4), outcome.err
    assert bench.stored().header.core.engines.keys() == {"mine"}
