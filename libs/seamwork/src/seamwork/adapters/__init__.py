"""
Let an agent of a framework take part as it is: its edges become crossings, its tokens money, its errors outcomes.

``adopt`` puts any ``Framework`` behind a contract. A framework's own module (``seamwork.adapters.openai_agents``)
is imported by name and only where that framework is installed. ``docs/guide/frameworks.md`` has the shape that
every further one follows.
"""

from seamwork.adapters.adopt import adopt
from seamwork.adapters.commission import Commission, Framework, Tool
from seamwork.adapters.delegation import Delegation
from seamwork.adapters.prices import ModelUsage, Prices

__all__ = ["Commission", "Delegation", "Framework", "ModelUsage", "Prices", "Tool", "adopt"]
