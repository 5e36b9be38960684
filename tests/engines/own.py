"""C files of the user's own: the template of `bench init --engine`, changed, and a small one."""

from __future__ import annotations

from pathlib import Path

from bench.engines.template import template

SUBMIT = 'return single_submit(thread, frames, "write", own_call);'
IN_A_WINDOW = "thread->counts.calls > 64"
"""More than a check of frames sends of a method of single frames."""


def written(folder: Path, *changes: tuple[str, str], name: str = "mine") -> Path:
    """The template with texts in place of others."""
    text = template(name, f"{name}.c")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / f"{name}.c"
    path.write_text(text)
    return path


def sends_nothing(folder: Path, name: str = "mine") -> Path:
    """One that needs no privilege and no interface."""
    path = folder / f"{name}.c"
    path.write_text(
        '#include "engine.h"\n'
        "static int submit(struct tx_thread *thread, unsigned int frames)\n"
        "{\n"
        "\tcount(&thread->counts.requested, frames);\n"
        "\tcount(&thread->counts.submitted, frames);\n"
        "\treturn 0;\n"
        "}\n"
        "static int open_thread(struct tx_thread *thread, struct core_error *error)\n"
        "{\n"
        "\treturn frame_buffers(thread, thread->config->burst, error);\n"
        "}\n"
        "const struct tx_method bench_method = {\n"
        f'\t.info = {{ .name = "{name}", .help = "sends nothing", .path = "none",\n'
        "\t\t  .knobs = KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST | KNOB_FILL },\n"
        "\t.memory = frame_memory_burst,\n"
        "\t.open = open_thread,\n"
        "\t.fill = burst_fill,\n"
        "\t.submit = submit,\n"
        "\t.reap = reap_submitted,\n"
        "};\n"
    )
    return path
