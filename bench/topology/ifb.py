"""An intermediate functional block device as a sink: the cheapest device to send to.

drivers/net/ifb.c: ``ifb_xmit`` counts every frame, whole, as received; one that did not come
by a redirect has nowhere to go and is freed at once, counted as rx_dropped. That is delivery.
"""

from __future__ import annotations

from bench.model.vocabulary import KindInfo
from bench.topology import Delivery, link, sink


class IfbOptions(link.EthernetOptions):
    """Options of an ifb."""


KIND = link.Kind(
    info=KindInfo(
        name="ifb",
        help="a sink without a receive path: the cheapest device",
        options=IfbOptions,
        refuses_xdp=lambda _options: "an ifb takes none; name another interface",
    ),
    create=sink.creator("ifb", Delivery()),
    module=("ifb", "numifbs=0"),
)
