# SPDX-License-Identifier: MIT
"""What is compared. The first row is what speedups refer to."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    name: str
    title: str
    page_cluster: int = 3  # as a host has it; the agent of a policy turns it off while it acts
    policy: str = ""       # file in policies/ (without .rmt); empty: the kernel alone
    model: str = ""        # "trained": by an earlier run; "": none at the start
    trail: bool = True     # the agent may page out behind the stream
    color: str = "#888888"


VARIANTS = {v.name: v for v in (
    Variant("linux", "Linux readahead", color="#8d99ae"),
    Variant("none", "no readahead", page_cluster=0, color="#cbd2dc"),
    Variant("leap", "Leap", policy="leap", color="#e9a23b"),
    Variant("learned", "RMT, trained", policy="learned_prefetch", model="trained", color="#1b7f79"),
    Variant("fresh", "RMT, from nothing", policy="learned_prefetch", color="#6cc0b8"),
    Variant("no_evict", "Leap, no eviction", policy="leap", trail=False, color="#f3cd98"),
    Variant("next_n", "next N pages", policy="next_n", color="#b07aa1"),
)}
DEFAULT = ("linux", "none", "leap", "learned", "fresh")
