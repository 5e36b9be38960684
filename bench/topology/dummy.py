"""A dummy device as a sink that frees each frame where it is sent.

drivers/net/dummy.c: ``dummy_xmit`` counts every frame, whole, as sent, and frees it: that is
delivery. Of all devices it alone lets an skb be sent again and again (IFF_TX_SKB_SHARING: pktgen's
clone_skb).
"""

from __future__ import annotations

from bench.model.vocabulary import KindInfo
from bench.topology import Delivery, link, sink


class DummyOptions(link.EthernetOptions):
    """Options of a dummy."""


KIND = link.Kind(
    info=KindInfo(
        name="dummy",
        help="a sink that frees each frame as it is sent",
        options=DummyOptions,
        refuses_xdp=lambda _options: "a dummy takes none; name another interface",
    ),
    create=sink.creator("dummy", Delivery(direction="tx")),
    module=("dummy", "numdummies=0"),
)
