"""The matrix that ``bench init`` writes: small, runs as it is, and says what each line means."""

from __future__ import annotations

from bench.matrix.yamltree import text_as_written

STARTER = """\
# yaml-language-server: $schema={schema}
# bench plan {file}    what would run, and for how long
# bench run {file}     run it: a few seconds
name: {name}
description: Is a PACKET_MMAP TX ring faster than sendto()?

# The cells are the product of all axes. `bench methods` lists the methods and what each reads; an
# axis that a method does not read makes no further cells of it.
axes:
  # lo, veth, bridge, macvlan ...: in network namespaces that the run makes. A real interface is
  # {{kind: device, name: eth1}}, and has to be on the command line, too: --allow-device eth1.
  interface: [lo, veth]
  method: [sendto, sendmmsg, tx_ring]
  frame_size: [64, 1514]        # bytes from destination MAC to end of payload, without FCS
  burst: 64                     # frames that one system call hands over
  fill: prefilled               # or copy: each frame is copied before it is sent
  # threads: [1, 2]             # each has a CPU of its own
  # qdisc_bypass: [false, true] # PACKET_QDISC_BYPASS: straight to the driver
  # ring: {{version: 2, slots: 512, frame_size: 2048}}

# Combinations that are not worth their time; a value may be a list: any of them.
exclude: []
#  - {{interface: lo, frame_size: 1514}}

measure:
  window: 10ms                  # of a slice; slices of all cells are interleaved at random
  rounds: 40                    # slices of each cell; or {{min: 40, max: 400}}, until `precision`
  openings: 1                   # from 3 on intervals cover what another run would show
  # precision: 1%               # half of the width of the 95 % interval of a ratio

# Each cell's ratio is to the cell that differs from it in this alone.
baseline: {{method: sendto}}
"""


def starter(name: str, file: str, schema: str) -> str:
    """The text of a matrix file; ``schema`` is where its JSON Schema is, from the file's folder."""
    return STARTER.format(name=text_as_written(name), file=file, schema=schema)
