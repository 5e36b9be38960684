"""The parts of pyroute2 that bench uses, and the qdiscs' layouts that it adds.

Importing pyroute2 takes longer than importing all the rest: ``link.pyroute`` does so once netlink
is spoken, and nothing else imports this module.
"""

from __future__ import annotations

from pyroute2 import IPRoute
from pyroute2.netlink import nla
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import TC_H_ROOT
from pyroute2.netlink.rtnl.tcmsg import plugins

__all__ = ["IPRoute", "NetlinkError"]


# The options of qdiscs, in the kernel's own units (include/uapi/linux/pkt_sched.h)


class _Limit(nla):  # type: ignore[misc]
    """struct tc_fifo_qopt"""

    fields = (("limit", "I"),)


_RATESPEC = (
    ("{}_cell_log", "B"),
    ("{}_linklayer", "B"),
    ("{}_overhead", "H"),
    ("{}_cell_align", "h"),
    ("{}_mpu", "H"),
    ("{}", "I"),
)


def _ratespec(name: str) -> tuple[tuple[str, str], ...]:
    """struct tc_ratespec"""
    return tuple((field.format(name), form) for field, form in _RATESPEC)


class _TbfOptions(nla):  # type: ignore[misc]
    nla_map = (
        ("TCA_TBF_UNSPEC", "none"),
        ("TCA_TBF_PARMS", "qopt"),
        ("TCA_TBF_RTAB", "hex"),
        ("TCA_TBF_PTAB", "hex"),
        ("TCA_TBF_RATE64", "uint64"),
        ("TCA_TBF_PRATE64", "uint64"),
        ("TCA_TBF_BURST", "uint32"),
        ("TCA_TBF_PBURST", "uint32"),
        ("TCA_TBF_PAD", "hex"),
    )

    class qopt(nla):  # type: ignore[misc]
        """struct tc_tbf_qopt"""

        fields = (
            *_ratespec("rate"),
            *_ratespec("peakrate"),
            ("limit", "I"),
            ("buffer", "I"),
            ("mtu", "I"),
        )


class _HtbOptions(nla):  # type: ignore[misc]
    nla_map = (
        ("TCA_HTB_UNSPEC", "none"),
        ("TCA_HTB_PARMS", "opt"),
        ("TCA_HTB_INIT", "glob"),
        ("TCA_HTB_CTAB", "hex"),
        ("TCA_HTB_RTAB", "hex"),
        ("TCA_HTB_DIRECT_QLEN", "uint32"),
        ("TCA_HTB_RATE64", "uint64"),
        ("TCA_HTB_CEIL64", "uint64"),
        ("TCA_HTB_PAD", "hex"),
        ("TCA_HTB_OFFLOAD", "hex"),
    )

    class opt(nla):  # type: ignore[misc]
        """struct tc_htb_opt"""

        fields = (
            *_ratespec("rate"),
            *_ratespec("ceil"),
            ("buffer", "I"),
            ("cbuffer", "I"),
            ("quantum", "I"),
            ("level", "I"),
            ("prio", "I"),
        )

    class glob(nla):  # type: ignore[misc]
        """struct tc_htb_glob"""

        fields = (
            ("version", "I"),
            ("rate2quantum", "I"),
            ("defcls", "I"),
            ("debug", "I"),
            ("direct_pkts", "I"),
        )


class _FqCodelOptions(nla):  # type: ignore[misc]
    nla_map = (
        ("TCA_FQ_CODEL_UNSPEC", "none"),
        ("TCA_FQ_CODEL_TARGET", "uint32"),
        ("TCA_FQ_CODEL_LIMIT", "uint32"),
        ("TCA_FQ_CODEL_INTERVAL", "uint32"),
        ("TCA_FQ_CODEL_ECN", "uint32"),
        ("TCA_FQ_CODEL_FLOWS", "uint32"),
        ("TCA_FQ_CODEL_QUANTUM", "uint32"),
        ("TCA_FQ_CODEL_CE_THRESHOLD", "uint32"),
        ("TCA_FQ_CODEL_DROP_BATCH_SIZE", "uint32"),
        ("TCA_FQ_CODEL_MEMORY_LIMIT", "uint32"),
    )


class _FqOptions(nla):  # type: ignore[misc]
    nla_map = (
        ("TCA_FQ_UNSPEC", "none"),
        ("TCA_FQ_PLIMIT", "uint32"),
        ("TCA_FQ_FLOW_PLIMIT", "uint32"),
    )


class _PrioOptions(nla):  # type: ignore[misc]
    """struct tc_prio_qopt"""

    fields = (("bands", "I"), ("priomap", "16s"))


class _NetemOptions(nla):  # type: ignore[misc]
    """struct tc_netem_qopt, and attributes behind it"""

    nla_map = (
        ("TCA_NETEM_UNSPEC", "none"),
        ("TCA_NETEM_CORR", "hex"),
        ("TCA_NETEM_DELAY_DIST", "hex"),
        ("TCA_NETEM_REORDER", "hex"),
        ("TCA_NETEM_CORRUPT", "hex"),
        ("TCA_NETEM_LOSS", "hex"),
        ("TCA_NETEM_RATE", "hex"),
        ("TCA_NETEM_ECN", "hex"),
        ("TCA_NETEM_RATE64", "hex"),
        ("TCA_NETEM_PAD", "hex"),
        ("TCA_NETEM_LATENCY64", "int64"),
    )
    fields = (
        ("latency", "I"),
        ("limit", "I"),
        ("loss", "I"),
        ("gap", "I"),
        ("duplicate", "I"),
        ("jitter", "I"),
    )


class _Plugin:
    """How pyroute2 finds the layout of a qdisc's TCA_OPTIONS."""

    def __init__(self, options: type[nla]) -> None:
        self.parent = TC_H_ROOT
        self.options = options


plugins.update(
    pfifo=_Plugin(_Limit),
    bfifo=_Plugin(_Limit),
    tbf=_Plugin(_TbfOptions),
    htb=_Plugin(_HtbOptions),
    fq_codel=_Plugin(_FqCodelOptions),
    fq=_Plugin(_FqOptions),
    prio=_Plugin(_PrioOptions),
    netem=_Plugin(_NetemOptions),
)
